/**
 * A real Active Directory domain controller: Samba's LDAP service with the people of accounts.ts. Its ports are fixed,
 * so every instance has a loopback address of its own; nothing listens anywhere else.
 */
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from './certificates.ts';
import { runTool, startDaemon } from './daemon.ts';
import { copyProvisioned } from './provisioned.ts';
import { domainChanges, domainEntries, rawDomainChanges } from './samba-data.ts';

export interface Samba extends AsyncDisposable {
  readonly url: string;
  readonly secureUrl: string;
  readonly caFile: string;
  /** Name in the certificate. */
  readonly serverName: string;
  /** Applies LDIF change records through the modules of the server, as its administrator. */
  modify(ldif: string): Promise<void>;
}

const serverName = 'dc1.corp.test';
const sambaPath = '/usr/sbin/samba';

/** Why this machine cannot run it; `undefined` where it can, and always where tests must not be left out. */
export function whyNoSamba(): string | undefined {
  if (process.env['REQUIRE_SERVERS'] === '1') return undefined;
  if (!existsSync(sambaPath)) return 'samba-ad-dc is not installed';
  return process.getuid?.() === 0 ? undefined : 'only root may set up a domain controller and use its ports';
}

/** `settings`: further lines of the `[global]` section. */
export async function startSamba(settings: readonly string[] = []): Promise<Samba> {
  if (!existsSync(sambaPath)) {
    throw new Error(
      'samba is missing: apt-get install samba samba-ad-dc samba-ad-provision samba-dsdb-modules',
    );
  }
  await using resources = new AsyncDisposableStack();
  const { folder, builtIn } = resources.use(
    await copyProvisioned({
      server: 'samba',
      program: sambaPath,
      sources: ['samba.ts', 'samba-data.ts', 'slapd-data.ts', 'accounts.ts'],
      build,
    }),
  );
  const host = `127.${randomInt(16, 128)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const configFile = join(folder, 'dc/etc/smb.conf');
  const global = [
    `interfaces = ${host}/8`,
    'bind interfaces only = yes',
    'server services = ldap',
    `pid directory = ${folder}/run`,
    `ncalrpc dir = ${folder}/run/ncalrpc`,
    `log file = ${folder}/log`,
    `tls keyfile = ${folder}/server.key`,
    `tls certfile = ${folder}/server.crt`,
    `tls cafile = ${folder}/ca.crt`,
    ...settings,
  ];
  const provisionedText = (await readFile(configFile, 'utf8'))
    .replaceAll(builtIn, folder)
    .replaceAll(/^\s*(interfaces|bind interfaces only) =.*\n/gm, '');
  await writeFile(configFile, provisionedText.replace('[global]\n', `[global]\n${global.join('\n')}\n`));
  resources.use(
    await startDaemon({
      command: sambaPath,
      args: ['-s', configFile, '-F', '--no-process-group', '-M', 'single'],
      logFile: join(folder, 'output'),
      host,
      port: 389,
    }),
  );
  const running = resources.move();
  return {
    url: `ldap://${host}`,
    secureUrl: `ldaps://${host}`,
    caFile: join(folder, 'ca.crt'),
    serverName,
    modify: async (ldif) => await ldb('ldbmodify', folder, 'sam.ldb', ldif),
    [Symbol.asyncDispose]: async () => await running.disposeAsync(),
  };
}

async function build(folder: string): Promise<void> {
  await mkdir(join(folder, 'run'));
  const empty = join(folder, 'empty.conf');
  await writeFile(empty, '[global]\n');
  await runTool('samba-tool', [
    'domain',
    'provision',
    // Without a file of ours the one in /etc would be merged in.
    '-s',
    empty,
    `--targetdir=${folder}/dc`,
    '--realm=CORP.TEST',
    '--domain=CORP',
    '--server-role=dc',
    '--dns-backend=SAMBA_INTERNAL',
    '--host-name=dc1',
    '--host-ip=127.0.0.1',
    '--adminpass=Adm1n-pass!',
    '--use-rfc2307',
    '--option=interfaces=lo',
    '--option=bind interfaces only=yes',
  ]);
  const configFile = join(folder, 'dc/etc/smb.conf');
  await ldb('ldbadd', folder, 'sam.ldb', domainEntries());
  await ldb('ldbmodify', folder, 'sam.ldb', domainChanges());
  await ldb('ldbmodify', folder, 'sam.ldb.d/DC=CORP,DC=TEST.ldb', rawDomainChanges());
  await runTool('samba-tool', [
    'domain',
    'passwordsettings',
    'set',
    '-s',
    configFile,
    '--account-lockout-threshold=3',
    '--history-length=0',
    '--min-pwd-age=0',
  ]);
  await using authority = await createAuthority();
  const certificate = await authority.issue({ hosts: [serverName] });
  await copyFile(certificate.certificateFile, join(folder, 'server.crt'));
  await copyFile(certificate.keyFile, join(folder, 'server.key'));
  await copyFile(authority.caFile, join(folder, 'ca.crt'));
  // Samba does not start with a key that others may read.
  await chmod(join(folder, 'server.key'), 0o600);
}

async function ldb(tool: string, folder: string, database: string, ldif: string): Promise<void> {
  const configFile = join(folder, 'dc/etc/smb.conf');
  await runTool(tool, [`--configfile=${configFile}`, '-H', join(folder, 'dc/private', database)], {
    input: ldif,
  });
}

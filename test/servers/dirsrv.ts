/**
 * A real 389 Directory Server, the engine of FreeIPA and ALD Pro, with the people of accounts.ts: on free loopback
 * ports, in a folder of its own, without systemd, as root or as an ordinary user.
 */
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '#test/support/free-port.ts';
import { type Certificate, createAuthority } from './certificates.ts';
import { type Daemon, runTool, startDaemon, startSomewhere } from './daemon.ts';
import { accountEntries, accountsSuffix, directoryManager, ipaSchema } from './dirsrv-data.ts';
import { copyProvisioned } from './provisioned.ts';

export interface Dirsrv extends AsyncDisposable {
  readonly url: string;
  readonly secureUrl: string;
  readonly caFile: string;
  /** A certificate that the server takes for the service account. */
  readonly serviceCertificate: Certificate;
  /** Applies LDIF change records as the Directory Manager. */
  modify(ldif: string): Promise<void>;
}

const serverPath = '/usr/sbin/ns-slapd';
const share = '/usr/share/dirsrv';
const instance = 'slapd-test';

/** Why this machine cannot run it; `undefined` where it can, and always where tests must not be left out. */
export function whyNoDirsrv(): string | undefined {
  if (process.env['REQUIRE_SERVERS'] === '1' || existsSync(serverPath)) return undefined;
  return '389-ds-base is not installed';
}

export async function startDirsrv(): Promise<Dirsrv> {
  if (!existsSync(serverPath)) throw new Error('ns-slapd is missing: apt-get install 389-ds-base');
  await using resources = new AsyncDisposableStack();
  const { folder, builtIn } = resources.use(
    await copyProvisioned({
      server: 'dirsrv',
      program: serverPath,
      sources: ['dirsrv.ts', 'dirsrv-data.ts', 'slapd-data.ts', 'accounts.ts'],
      build,
    }),
  );
  for (const name of ['dse.ldif', 'pkcs11.txt']) {
    await rewrite(join(folder, 'etc/dirsrv', instance, name), (text) =>
      unfold(text).replaceAll(builtIn, folder),
    );
  }
  const { daemon, url, secureUrl } = await launch(folder);
  resources.use(daemon);
  const running = resources.move();
  return {
    url,
    secureUrl,
    caFile: join(folder, 'ca.crt'),
    serviceCertificate: {
      certificateFile: join(folder, 'service.crt'),
      keyFile: join(folder, 'service.key'),
    },
    modify: async (ldif) => await change(url, ldif),
    [Symbol.asyncDispose]: async () => await running.disposeAsync(),
  };
}

async function launch(folder: string): Promise<{ daemon: Daemon; url: string; secureUrl: string }> {
  const configuration = join(folder, 'etc/dirsrv', instance);
  return await startSomewhere(async () => {
    const [port = 0, securePort = 0] = await freePorts(2);
    await rewrite(join(configuration, 'dse.ldif'), (text) =>
      withAttributes(text, {
        'cn=config': { 'nsslapd-port': String(port), 'nsslapd-securePort': String(securePort) },
      }),
    );
    const daemon = await startDaemon({
      command: serverPath,
      args: ['-D', configuration, '-i', join(folder, 'run/dirsrv/pid'), '-d', '0'],
      logFile: join(folder, 'output'),
      host: '127.0.0.1',
      port: securePort,
    });
    return { daemon, url: `ldap://127.0.0.1:${port}`, secureUrl: `ldaps://127.0.0.1:${securePort}` };
  });
}

async function build(folder: string): Promise<void> {
  await createInstance(folder);
  const configuration = join(folder, 'etc/dirsrv', instance);
  await rewrite(join(configuration, 'dse.ldif'), (text) => withAttributes(text, settings));
  await writeFile(join(configuration, 'schema/90ipa.ldif'), ipaSchema);
  await copyFile(join(share, 'data/60kerberos.ldif'), join(configuration, 'schema/60kerberos.ldif'));
  await installCertificate(folder, configuration);
  const { daemon, url } = await launch(folder);
  try {
    await change(url, accountEntries());
  } finally {
    await daemon.end('SIGTERM');
  }
  for (const name of ['errors', 'access', 'security']) {
    await rm(join(folder, 'var/log/dirsrv', instance, name), { force: true });
  }
  // Shared memory of the database, made anew at every start.
  const database = join(folder, 'var/lib/dirsrv', instance, 'db');
  for (const name of ['__db.001', '__db.002', '__db.003']) await rm(join(database, name), { force: true });
}

/** What is set before the first start, so that nothing needs a second one. */
const settings: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'cn=config': {
    'nsslapd-listenhost': '127.0.0.1',
    'nsslapd-securelistenhost': '127.0.0.1',
    'nsslapd-security': 'on',
    'nsslapd-accesslog-logging-enabled': 'off',
    'nsslapd-pwpolicy-local': 'on',
    'nsslapd-enable-upgrade-hash': 'off',
    // Nearly free to check, so that the tests measure the gateway.
    passwordStorageScheme: 'SSHA',
    passwordLockout: 'on',
    passwordMaxFailure: '3',
    passwordUnlock: 'off',
  },
  // Would refuse Cyrillic account names and passwords.
  'cn=7-bit check,cn=plugins,cn=config': { 'nsslapd-pluginEnabled': 'off' },
  'cn=MemberOf Plugin,cn=plugins,cn=config': { 'nsslapd-pluginEnabled': 'on' },
  'cn=config,cn=ldbm database,cn=plugins,cn=config': { 'nsslapd-cache-autosize': '0' },
  'cn=bdb,cn=config,cn=ldbm database,cn=plugins,cn=config': {
    'nsslapd-cache-autosize': '0',
    'nsslapd-dbcachesize': '4194304',
  },
};

/** `PREFIX` makes the set-up program read its paths from below the folder, where systemd is off. */
async function createInstance(folder: string): Promise<void> {
  for (const path of [
    'share/dirsrv/inf',
    'etc/dirsrv',
    'etc/default',
    'etc/tmpfiles.d',
    'var/log/dirsrv',
    'var/lib/dirsrv',
    'run/dirsrv',
    'run/lock/dirsrv',
    'sbin',
  ]) {
    await mkdir(join(folder, path), { recursive: true });
  }
  const defaults = (await readFile(join(share, 'inf/defaults.inf'), 'utf8'))
    .replace(/^with_systemd = 1$/m, 'with_systemd = 0')
    .replaceAll(/= (\/etc|\/run|\/var)\b/g, `= ${folder}$1`)
    .replace(/^db_home_dir = .*$/m, `db_home_dir = ${folder}/var/lib/dirsrv/slapd-{instance_name}/db`);
  await writeFile(join(folder, 'share/dirsrv/inf/defaults.inf'), defaults);
  for (const name of ['config', 'schema']) {
    await cp(join('/etc/dirsrv', name), join(folder, 'etc/dirsrv', name), { recursive: true });
  }
  for (const name of ['data', 'schema']) await symlink(join(share, name), join(folder, 'share/dirsrv', name));
  await symlink(serverPath, join(folder, 'sbin/ns-slapd'));
  const [port, securePort] = await freePorts(2);
  const { username } = userInfo();
  const answers = join(folder, 'answers.inf');
  await writeFile(
    answers,
    [
      '[general]',
      'start = False',
      'strict_host_checking = False',
      'systemd = False',
      'full_machine_name = localhost.localdomain',
      '[slapd]',
      'instance_name = test',
      `port = ${port}`,
      `secure_port = ${securePort}`,
      `root_password = ${directoryManager.password}`,
      `user = ${username}`,
      `group = ${(await runTool('id', ['-gn'])).trim()}`,
      'self_sign_cert = False',
      '[backend-userroot]',
      `suffix = ${accountsSuffix}`,
      'create_suffix_entry = True',
      '',
    ].join('\n'),
  );
  await runTool('dscreate', ['from-file', answers], { env: { PREFIX: folder } });
}

async function installCertificate(folder: string, configuration: string): Promise<void> {
  await using authority = await createAuthority();
  const { certificateFile, keyFile } = await authority.issue({ hosts: ['127.0.0.1', 'localhost'] });
  const bundle = join(folder, 'server.p12');
  const passwords = join(configuration, 'pwdfile.txt');
  const database = ['-d', `sql:${configuration}`];
  const pack = ['pkcs12', '-export', '-name', 'Server-Cert', '-passout', 'pass:', '-out', bundle];
  await runTool('openssl', [
    ...pack,
    '-in',
    certificateFile,
    '-inkey',
    keyFile,
    '-certfile',
    authority.caFile,
  ]);
  await runTool('pk12util', ['-i', bundle, ...database, '-k', passwords, '-W', '']);
  await runTool('certutil', [
    '-A',
    '-n',
    'ca',
    '-t',
    'CT,,',
    ...database,
    '-f',
    passwords,
    '-i',
    authority.caFile,
  ]);
  await copyFile(authority.caFile, join(folder, 'ca.crt'));
  const service = await authority.issue({ hosts: ['vratar'] });
  await copyFile(service.certificateFile, join(folder, 'service.crt'));
  await copyFile(service.keyFile, join(folder, 'service.key'));
  // Whoever shows a certificate is the one entry with its common name.
  await writeFile(
    join(configuration, 'certmap.conf'),
    'certmap default default\ndefault:DNComps\ndefault:FilterComps cn\n',
  );
}

async function change(url: string, ldif: string): Promise<void> {
  const { dn, password } = directoryManager;
  await runTool('ldapmodify', ['-a', '-x', '-H', url, '-D', dn, '-w', password], { input: ldif });
}

async function rewrite(file: string, edit: (text: string) => string): Promise<void> {
  await writeFile(file, edit(await readFile(file, 'utf8')));
}

/** Long lines of LDIF are folded (RFC 2849), also in the middle of a path. */
function unfold(text: string): string {
  return text.replaceAll('\n ', '');
}

/** LDIF of the server's configuration with attributes replaced. */
function withAttributes(
  text: string,
  changes: Readonly<Record<string, Readonly<Record<string, string>>>>,
): string {
  const blocks = unfold(text).split('\n\n');
  return blocks
    .map((block) => {
      const dn = /^dn: (.*)$/m.exec(block)?.[1] ?? '';
      const attributes = Object.entries(changes[dn] ?? {});
      const names = attributes.map(([name]) => `${name.toLowerCase()}:`);
      const kept = block.split('\n').filter((line) => {
        const lower = line.toLowerCase();
        return !names.some((name) => lower.startsWith(name));
      });
      return [...kept, ...attributes.map(([name, value]) => `${name}: ${value}`)].join('\n');
    })
    .join('\n\n');
}

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { check } from '#src/cli/check.ts';
import { checkTickets, isSecureExecution } from '#src/providers/kerberos/check.ts';
import { kerberosProviderOptions } from '#src/providers/kerberos/options.ts';
import { keytabEntry, keytabFile } from '#test/providers/kerberos/built-keytab.ts';
import { startKdc } from '#test/servers/kdc.ts';
import { runCommand } from '#test/support/command-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-check-kerberos-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Changes {
  readonly keytab: string;
  readonly more?: string;
  readonly hosts?: string;
  readonly publicUrl?: string;
  readonly state?: string;
}

/** Exit code and what was said about the provider, without places and the folder's name. */
async function connect(changes: Changes): Promise<{ code: number; lines: readonly string[] }> {
  const file = join(folder, 'vratar.yaml');
  writeFileSync(
    file,
    `server: { publicUrl: "${changes.publicUrl ?? 'https://gw.localhost'}", workers: 1 }
state: { directory: ${changes.state ?? join(folder, 'data')} }
providers:
  - { name: sso, type: kerberos, realms: [TEST.LOCAL], keytab: ${changes.keytab}${changes.more ?? ''} }
applications:
  - { name: wiki, hosts: [${changes.hosts ?? 'gw.localhost'}], rules: [ { access: authenticated } ] }
`,
  );
  const { code, printed } = await runCommand(check, ['--connect', '--config', file], { env: {} });
  const lines = printed
    .split('\n')
    .filter((line) => /sso: |providers\[0\]/.test(line) && !line.includes('sso: kerberos'))
    .map((line) => line.replaceAll(`${folder}/`, '').replace(/vratar\.yaml:\d+:\d+ /, ''));
  return { code, lines };
}

const write = (name: string, principals: readonly string[], encryptionType = 18, mode = 0o600): string => {
  const file = join(folder, name);
  writeFileSync(
    file,
    keytabFile(...principals.map((principal) => keytabEntry({ principal, encryptionType }))),
  );
  chmodSync(file, mode);
  return file;
};

test('says which service browsers ask for on every host, from a keytab of a real KDC', async () => {
  await using kdc = await startKdc({ services: ['HTTP/gw.localhost', 'HTTP/wiki.localhost'] });
  const { code, lines } = await connect({ keytab: kdc.keytab, hosts: 'wiki.localhost, gw.localhost' });
  assert.equal(code, 0, lines.join('\n'));
  assert.deepEqual(lines, [
    'sso: browsers ask for HTTP/gw.localhost@TEST.LOCAL on gw.localhost: kvno 1 aes256 aes128',
    'sso: browsers ask for HTTP/wiki.localhost@TEST.LOCAL on wiki.localhost: kvno 1 aes256 aes128',
  ]);
});

describe('says', () => {
  const gateway = 'HTTP/gw.localhost@TEST.LOCAL';
  const keytab = write('good', [gateway]);
  const known = 'sso: browsers ask for HTTP/gw.localhost@TEST.LOCAL on gw.localhost: kvno 1 aes256';
  const rows: readonly {
    readonly name: string;
    readonly changes: Changes;
    readonly code: number;
    readonly lines: readonly string[];
  }[] = [
    {
      name: 'which host has no key',
      changes: { keytab, hosts: 'gw.localhost, wiki.localhost' },
      code: 0,
      lines: [
        'warning: providers[0].keytab: browsers ask for HTTP/wiki.localhost on wiki.localhost, and the keytab has no key of it',
        known,
      ],
    },
    {
      name: 'that no host has a key',
      changes: { keytab, publicUrl: 'https://wiki.localhost', hosts: 'wiki.localhost' },
      code: 78,
      lines: [
        'providers[0].keytab: the keytab has no key for any of the public hosts',
        'warning: providers[0].keytab: browsers ask for HTTP/wiki.localhost on wiki.localhost, and the keytab has no key of it',
      ],
    },
    {
      name: 'nothing of hosts where no ticket is asked for',
      changes: {
        keytab,
        hosts: 'gw.localhost, wiki.localhost',
        more: ', challenge: { hosts: [gw.localhost] }',
      },
      code: 0,
      lines: [known],
    },
    {
      name: 'that every host of a wildcard needs a key',
      changes: { keytab, hosts: '"*.apps.localhost", gw.localhost' },
      code: 0,
      lines: [known, 'sso: *.apps.localhost: each of these hosts needs a key of its own'],
    },
    {
      name: 'that addresses have no tickets',
      changes: { keytab, hosts: 'gw.localhost, 192.0.2.1' },
      code: 0,
      lines: [
        'warning: providers[0].keytab: browsers ask for no ticket for the address 192.0.2.1; use a name',
        known,
      ],
    },
    {
      name: 'that a service is not among the principals',
      changes: {
        keytab: write('two', [gateway, 'HTTP/wiki.localhost@TEST.LOCAL']),
        hosts: 'gw.localhost, wiki.localhost',
        more: ', principals: [HTTP/gw.localhost]',
      },
      code: 0,
      lines: [
        'warning: providers[0].keytab: browsers ask for HTTP/wiki.localhost on wiki.localhost, which is not in principals',
        known,
      ],
    },
    {
      name: 'that a listed service has no key',
      changes: { keytab, more: ', principals: [HTTP/gw.localhost, HTTP/wiki.localhost]' },
      code: 78,
      lines: ['providers[0].principals[1]: good has no key of it', known],
    },
    {
      name: 'that a keytab has RC4 keys only',
      changes: { keytab: write('rc4', [gateway], 23) },
      code: 0,
      lines: [
        `warning: providers[0].keytab: ${gateway} has no AES key, only kvno 1 rc4: KDCs and libraries refuse these more and more`,
        'sso: browsers ask for HTTP/gw.localhost@TEST.LOCAL on gw.localhost: kvno 1 rc4',
      ],
    },
    {
      name: 'that others can read the keytab',
      changes: { keytab: write('open', [gateway], 18, 0o644) },
      code: 0,
      lines: [
        'warning: providers[0].keytab: open has mode 0644: whoever reads it can sign in as anybody; make it 0600 or 0640',
        known,
      ],
    },
    {
      name: 'that the record of tickets cannot be written',
      changes: { keytab, state: join(keytab, 'data') },
      code: 78,
      lines: [
        'providers[0].replay: the record of tickets cannot be kept in good/data (good is no directory): nobody could sign in by ticket',
        known,
      ],
    },
    {
      name: 'that no record of tickets is kept',
      changes: { keytab, more: ', replay: off' },
      code: 0,
      lines: [
        'warning: providers[0].replay: a ticket that was presented before is accepted again; only for several gateways behind one name',
        known,
      ],
    },
  ];
  for (const { name, changes, code, lines } of rows) {
    test(name, async () => {
      const said = await connect(changes);
      assert.deepEqual(said.lines, lines);
      assert.equal(said.code, code);
    });
  }
});

describe('capabilities on the program', () => {
  test('are read from what the kernel told the process', () => {
    const pair = (type: bigint, value: bigint): Buffer => {
      const bytes = Buffer.alloc(16);
      bytes.writeBigUInt64LE(type);
      bytes.writeBigUInt64LE(value, 8);
      return bytes;
    };
    const vector = (secure: bigint): Buffer =>
      Buffer.concat([pair(6n, 4096n), pair(23n, secure), pair(0n, 0n)]);
    assert.deepEqual([isSecureExecution(vector(1n)), isSecureExecution(vector(0n))], [true, false]);
    assert.equal(isSecureExecution(Buffer.alloc(0)), false);
  });

  const setcap = ['/usr/sbin/setcap', '/sbin/setcap'].find((path) => existsSync(path));
  const canSet = setcap !== undefined && process.getuid?.() === 0;
  test(`are found on the file${canSet ? '' : ' where there are any'}`, async () => {
    const program = join(folder, 'program');
    copyFileSync('/bin/true', program);
    const options = kerberosProviderOptions.parse({
      name: 'sso',
      type: 'kerberos',
      keytab: write('capabilities', ['HTTP/gw.localhost@TEST.LOCAL']),
      realms: ['TEST.LOCAL'],
    });
    const found = async (): Promise<boolean> => {
      const findings = await checkTickets(options, { hosts: [], stateDirectory: folder, program });
      return findings.some(
        ({ level, message }) => level === 'problem' && message.includes(`setcap -r ${program}`),
      );
    };
    assert.equal(await found(), false);
    if (!canSet) return;
    try {
      execFileSync(setcap, ['cap_net_bind_service=+ep', program]);
    } catch {
      // The kernel of a container may refuse it to everybody.
      return;
    }
    assert.equal(await found(), true);
  });
});

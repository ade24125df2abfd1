import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { inspect } from 'node:util';
import { ConfigInvalidError, loadConfig } from '#src/config/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-config-'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const yamlWith = (password: string, tls = ''): string => `server: { publicUrl: "https://login.example.com" }
directories:
  - name: corp
    kind: openLdap
    servers: ["ldaps://ldap.example.com"]
    users: { baseDn: dc=x }
    bind:
      dn: cn=vratar
      password: ${password}
${tls}providers: [ { name: corp, type: ldap, directory: corp } ]
`;

function write(name: string, text: string | Uint8Array, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode });
  chmodSync(file, mode);
  return file;
}

function load(yaml: string, env: Record<string, string> = {}): ReturnType<typeof loadConfig> {
  return loadConfig(write('vratar.yaml', yaml), { env });
}

function refusalOf(yaml: string, env: Record<string, string> = {}): readonly string[] {
  try {
    load(yaml, env);
  } catch (error) {
    assert.ok(error instanceof ConfigInvalidError);
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.message.split('\n').map((line) => line.replaceAll(`${folder}/`, ''));
  }
  return assert.fail('the configuration was accepted');
}

const passwordOf = (loaded: ReturnType<typeof loadConfig>): string | undefined =>
  loaded.config.directories[0]?.bind?.password?.reveal();

test('reads a secret from a file beside the configuration, without the line end', () => {
  write('bind.secret', 'correct horse \n');
  const loaded = load(yamlWith('{ file: bind.secret }'));
  assert.equal(passwordOf(loaded), 'correct horse ');
  assert.deepEqual(loaded.warnings, []);
});

test('reads a secret with a Windows line end, and from a folder below', () => {
  mkdirSync(join(folder, 'secrets'), { recursive: true });
  write('secrets/bind', 'pässword\r\n');
  assert.equal(passwordOf(load(yamlWith('{ file: secrets/bind }'))), 'pässword');
});

test('reads a secret from the environment it is given, not from that of the process', () => {
  assert.equal(passwordOf(load(yamlWith('{ env: BIND }'), { BIND: 'from outside' })), 'from outside');
  assert.deepEqual(refusalOf(yamlWith('{ env: PATH }')), [
    'vratar.yaml:9:24 directories[0].bind.password.env: the environment variable PATH is not set',
  ]);
});

test('takes a literal secret, with a warning that does not repeat it', () => {
  const loaded = load(yamlWith('hunter2'));
  assert.equal(passwordOf(loaded), 'hunter2');
  assert.deepEqual(loaded.warnings, [
    {
      line: 9,
      column: 17,
      path: 'directories[0].bind.password',
      message: 'is a literal secret; better { file: … } or { env: NAME }',
    },
  ]);
});

test('warns about a secret that other accounts can read', () => {
  write('open.secret', 'x', 0o644);
  const [warning] = load(yamlWith('{ file: open.secret }')).warnings;
  assert.equal(warning?.message, 'the file is readable for other accounts; make its mode 0600');
  assert.equal(warning.path, 'directories[0].bind.password.file');
});

write('empty.secret', '\n');
write('two.secret', 'a\nb\n');
write('binary.secret', Buffer.from([0xff, 0xfe, 0x61]));
write('large.secret', 'x'.repeat(70_000));
mkdirSync(join(folder, 'folder.secret'));
for (const [name, password, expect] of [
  ['a file that is not there', '{ file: none.secret }', '.file: none.secret does not exist'],
  ['a folder', '{ file: folder.secret }', '.file: folder.secret is not a regular file'],
  ['an empty file', '{ file: empty.secret }', '.file: the file is empty'],
  ['a file of two lines', '{ file: two.secret }', '.file: the file holds more than one line'],
  ['a file that is no text', '{ file: binary.secret }', '.file: the file is not UTF-8 text'],
  ['a file of 70 kB', '{ file: large.secret }', '.file: holds more than 65536 bytes'],
  ['an empty variable', '{ env: EMPTY }', '.env: the environment variable EMPTY is empty'],
  [
    'an inherited name as variable',
    '{ env: toString }',
    '.env: the environment variable toString is not set',
  ],
] as const) {
  test(`refuses a secret from ${name}, at the reference`, () => {
    assert.deepEqual(refusalOf(yamlWith(password), { EMPTY: '' }), [
      `vratar.yaml:9:${password.startsWith('{ file') ? 25 : 24} directories[0].bind.password${expect}`,
    ]);
  });
}

for (const [name, password, expect] of [
  [
    'a placeholder nobody replaces',
    '"${env:NOT_SET}"',
    'is no reference; write { env: NAME } or { file: … }',
  ],
  ['a reference to both', '{ file: a, env: B }', 'expected { file: … }, { env: NAME } or a text'],
  ['a number', '12345', 'expected { file: … }, { env: NAME } or a text'],
  ['an empty text', '""', 'must not be empty'],
] as const) {
  test(`refuses ${name} as a secret`, () => {
    assert.deepEqual(refusalOf(yamlWith(password)), [
      `vratar.yaml:9:17 directories[0].bind.password: ${expect}`,
    ]);
  });
}

test('never shows a secret in what it loads', () => {
  const loaded = load(yamlWith('hunter2'));
  assert.ok(!inspect(loaded, { depth: 20 }).includes('hunter2'));
  assert.ok(!JSON.stringify(loaded).includes('hunter2'));
});

test('paths are relative to the configuration file, defaults included', () => {
  write('ca.pem', rootCertificates[0] as string);
  write('bind.secret', 'x');
  const loaded = load(yamlWith('{ file: bind.secret }', '    tls: { caFile: ca.pem }\n'));
  assert.equal(loaded.config.directories[0]?.tls.caFile, join(folder, 'ca.pem'));
  assert.equal(loaded.config.state.directory, join(folder, 'data'));
  assert.equal(loaded.path, join(folder, 'vratar.yaml'));
  const absolute = load(
    `server: { publicUrl: "https://a.example" }\nstate: { directory: /var/lib/vratar }\n`,
  );
  assert.equal(absolute.config.state.directory, '/var/lib/vratar');
});

test('refuses a certificate file that is not there', () => {
  write('bind.secret', 'x');
  assert.deepEqual(refusalOf(yamlWith('{ file: bind.secret }', '    tls: { caFile: none.pem }\n')), [
    'vratar.yaml:10:20 directories[0].tls.caFile: none.pem does not exist',
  ]);
});

test('refuses a file it cannot use as a whole', () => {
  const refusal = (path: string): string => {
    try {
      loadConfig(path, { env: {} });
    } catch (error) {
      assert.ok(error instanceof ConfigInvalidError);
      return error.message.slice(path.length);
    }
    return assert.fail('the configuration was accepted');
  };
  assert.equal(refusal(join(folder, 'none.yaml')), ':1:1 (document): the file does not exist');
  assert.equal(refusal(folder), ':1:1 (document): is not a regular file');
  assert.equal(
    refusal(write('large.yaml', '# x\n'.repeat(300_000))),
    ':1:1 (document): is larger than 1048576 bytes',
  );
  assert.equal(
    refusal(write('latin1.yaml', Buffer.from('# \xfc\n', 'latin1'))),
    ':1:1 (document): is not UTF-8 text',
  );
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { check } from '#src/cli/check.ts';
import { runtimeNote } from '#src/cli/runtime-note.ts';
import { schema } from '#src/cli/schema.ts';
import { runCommand } from '#test/support/command-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-check-'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly code: number;
  /** Lines of standard output without the note about the Node.js that runs the tests. */
  readonly out: readonly string[];
  readonly err: string;
}

async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const { code, out, err } = await runCommand(check, argv, { env });
  const lines = out.split('\n').filter((line) => line !== '' && !line.startsWith('note: '));
  return { code, out: lines.map((line) => line.replaceAll(`${folder}/`, '')), err };
}

function write(name: string, yaml: string): string {
  const file = join(folder, name);
  writeFileSync(file, yaml);
  return file;
}

const sound = `server: { publicUrl: "https://login.example.com", workers: 3 }
directories:
  - name: corp
    kind: openLdap
    servers: ["ldaps://a.example.com", "ldaps://b.example.com"]
    users: { baseDn: dc=x }
    pool: { connections: 6 }
providers:
  - { name: corp, type: ldap, directory: corp }
  - { name: staff, type: local, users: [ { username: a } ] }
applications:
  - { name: wiki, hosts: [login.example.com], pathPrefix: /wiki, upstream: "http://127.0.0.1:3000", rules: [ { access: authenticated } ] }
`;

test('a sound configuration exits 0 and says what it serves and what the directories will see', async () => {
  const { code, out, err } = await run(['--config', write('sound.yaml', sound)]);
  assert.equal(code, 0);
  assert.equal(err, '');
  assert.deepEqual(out, [
    'sound.yaml is valid',
    'portal: https://login.example.com/_vratar/, 3 workers',
    '1 application on 1 host',
    '  wiki: login.example.com/wiki -> http://127.0.0.1:3000, 1 rule',
    '2 providers',
    '  corp: ldap, directory corp',
    '  staff: local, 1 account',
    '1 directory',
    '  corp: up to 48 LDAP connections (2 servers x 3 workers x (6 + 2))',
  ]);
});

test('servers that DNS names are counted one by one', async () => {
  const servers = /servers: \[[^\]]*\]/;
  assert.match(sound, servers);
  const { code, out } = await run([
    '--config',
    write('srv.yaml', sound.replace(servers, 'servers: { srv: example.com }')),
  ]);
  assert.equal(code, 0);
  assert.equal(
    out.at(-1),
    '  corp: up to 24 LDAP connections to each server in _ldaps._tcp.example.com (3 workers x (6 + 2))',
  );
});

test('workers: auto counts the cores of this machine', async () => {
  const { out } = await run(['--config', write('auto.yaml', sound.replace(', workers: 3', ''))]);
  const cores = availableParallelism();
  assert.ok(out.at(-1)?.startsWith(`  corp: up to ${2 * cores * 8} LDAP connections`), out.at(-1));
});

test('a broken configuration exits 78 and prints every problem, warnings after them', async () => {
  const file = write(
    'broken.yaml',
    'server: { publicUrl: "http://login.example.com" }\nproviders: [ { name: a, type: local, users: [] } ]\nstate: { driver: redis }\nmanagement: { listen: here }\n',
  );
  const { code, out } = await run(['--config', file]);
  assert.equal(code, 78);
  assert.deepEqual(out, [
    'broken.yaml:2:45 providers[0].users: must not be empty',
    'broken.yaml:3:18 state.driver: "redis" is not supported by this version',
    'broken.yaml:4:23 management.listen: expected host:port, [::]:port or unix:/path',
    'warning: broken.yaml:1:22 server.publicUrl: http: passwords and the session cookie travel in clear text, the cookie is not Secure',
  ]);
});

test('a doubtful configuration exits 0 and prints its warnings with their places', async () => {
  const file = write('doubtful.yaml', sound.replace('rules: [ { access: authenticated } ]', 'rules: []'));
  const { code, out } = await run(['--config', file]);
  assert.equal(code, 0);
  assert.equal(
    out[0],
    'warning: doubtful.yaml:12:13 applications[0].name: has no rules: every request is denied',
  );
});

test('the file may come from VRATAR_CONFIG, and --config wins', async () => {
  const good = write('good.yaml', sound);
  const bad = write('bad.yaml', '[]');
  assert.equal((await run([], { VRATAR_CONFIG: good })).code, 0);
  assert.equal((await run(['--config', bad], { VRATAR_CONFIG: good })).code, 78);
});

test('without a file, or with a file that is not there, it exits 78 and says so', async () => {
  const none = await run([]);
  assert.equal(none.code, 78);
  assert.match(none.err, /--config FILE/);
  const missing = await run(['--config', join(folder, 'missing.yaml')]);
  assert.equal(missing.code, 78);
  assert.deepEqual(missing.out, ['missing.yaml:1:1 (document): the file does not exist']);
});

test('an unknown option exits 64 and names it', async () => {
  const { code, err } = await run(['--confg', 'a.yaml']);
  assert.equal(code, 64);
  assert.match(err, /--confg/);
});

test('reads secrets from the environment it is given', async () => {
  const file = write(
    'secret.yaml',
    sound.replace('    pool:', '    bind: { dn: cn=a, password: { env: BIND } }\n    pool:'),
  );
  assert.equal((await run(['--config', file], { BIND: 'x' })).code, 0);
  const { code, out } = await run(['--config', file]);
  assert.equal(code, 78);
  assert.deepEqual(out, [
    'secret.yaml:7:40 directories[0].bind.password.env: the environment variable BIND is not set',
  ]);
});

for (const [version, isNoted] of [
  ['24.21.0', true],
  ['24.22.0', true],
  ['24.22.1', false],
  ['24.23.0', false],
  ['22.23.4', true],
  ['25.9.9', true],
  ['26.12.0', true],
  ['26.12.1', false],
  ['27.0.0', false],
] as const) {
  test(`${isNoted ? 'notes' : 'says nothing about'} Node.js ${version}`, () => {
    assert.equal(runtimeNote(version) !== undefined, isNoted);
  });
}

test('prints the schema as JSON', async () => {
  const { code, out } = await runCommand(schema, [], { env: {} });
  assert.equal(code, 0);
  assert.equal((JSON.parse(out) as { title: string }).title, 'Vratar configuration');
});

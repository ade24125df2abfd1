import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { check } from '#src/cli/check.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { peopleBase, service } from '#test/servers/slapd-data.ts';
import { runCommand } from '#test/support/command-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-connect-'));
let slapd: Slapd;

before(async () => {
  slapd = await startSlapd({ tls: true });
  copyFileSync(slapd.caFile, join(folder, 'ca.pem'));
});
after(async () => {
  await slapd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Changes {
  readonly servers?: readonly string[];
  readonly password?: string;
  readonly baseDn?: string;
  readonly tls?: string;
}

/** Exit code and the lines of standard output, without the note about the Node.js that runs the tests. */
async function connect(changes: Changes): Promise<{ code: number; lines: readonly string[] }> {
  const file = join(folder, 'vratar.yaml');
  writeFileSync(
    file,
    `server: { publicUrl: "https://login.example.com", workers: 1 }
directories:
  - name: corp
    kind: openLdap
    tls: ${changes.tls ?? '{ caFile: ca.pem }'}
    bind: { dn: "${service.dn}", password: { env: BIND } }
    users: { baseDn: "${changes.baseDn ?? peopleBase}" }
    servers:
${(changes.servers ?? [slapd.secureUrl]).map((url) => `      - ${url}\n`).join('')}
providers: [ { name: corp, type: ldap, directory: corp } ]
`,
  );
  const { code, printed } = await runCommand(check, ['--connect', '--config', file], {
    env: { BIND: changes.password ?? service.password },
  });
  const lines = printed.split('\n').filter((line) => line !== '' && !line.startsWith('note: '));
  return { code, lines: lines.map((line) => line.replaceAll(`${folder}/`, '')) };
}

test('--connect exits 0 when every server answers as configured', async () => {
  const { code, lines } = await connect({ servers: [slapd.secureUrl, slapd.url] });
  assert.equal(code, 0, lines.join('\n'));
  assert.ok(lines.includes('every directory server answers as configured'), lines.join('\n'));
  assert.ok(lines.includes('vratar.yaml is valid'));
});

test('--connect names the line of the server that is not there, and exits 78', async () => {
  const { code, lines } = await connect({ servers: [slapd.secureUrl, 'ldap://127.0.0.1:1'] });
  assert.equal(code, 78);
  const problems = lines.filter((line) => !line.startsWith('warning: '));
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /^vratar\.yaml:10:9 directories\[0\]\.servers\[1\]: \S/);
});

for (const [name, changes, place, says] of [
  [
    'a refused service account',
    { password: 'wrong-password' },
    '6:11 directories[0].bind',
    /service account/,
  ],
  [
    'a base DN that does not exist',
    { baseDn: 'ou=nowhere,dc=example,dc=test' },
    '7:22 directories[0].users.baseDn',
    /does not exist/,
  ],
  ['a certificate of an unknown authority', { tls: '{}' }, '5:5 directories[0].tls.caFile', /tls\.caFile/],
] as const) {
  test(`--connect says what is wrong with ${name}, of which server of which directory, and exits 78`, async () => {
    const { code, lines } = await connect(changes);
    assert.equal(code, 78);
    const start = `vratar.yaml:${place}: directory corp on ${slapd.secureUrl}: `;
    const problem = lines.find((line) => line.startsWith(start));
    assert.match(problem ?? assert.fail(lines.join('\n')), says);
    assert.ok(!lines.join('\n').includes('wrong-password'));
  });
}

test('--connect says once what is wrong with several servers', async () => {
  const { lines } = await connect({ servers: [slapd.secureUrl, slapd.url], password: 'wrong' });
  const told = lines.filter((line) => line.includes('service account'));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', new RegExp(`directory corp on ${slapd.secureUrl} and ${slapd.url}: `));
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { explain } from '#src/cli/explain.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-explain-'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const file = join(folder, 'vratar.yaml');
writeFileSync(
  file,
  `server: { publicUrl: "https://login.example.com" }
directories:
  - { name: corp, kind: openLdap, servers: ["ldaps://a.example.com"], users: { baseDn: dc=x } }
providers:
  - { name: corp, type: ldap, directory: corp }
  - { name: staff, type: local, users: [ { username: Alice, groups: [staff] } ] }
roles:
  - { when: { group: editors }, grant: { roles: [editor] } }
applications:
  - name: wiki
    hosts: [wiki.example.com]
    methods: [GET, POST]
    rules:
      - { paths: [/healthz], access: public }
      - { paths: ["/admin/**"], access: { groups: ["cn=admins,ou=groups,dc=x"] } }
      - { paths: ["/api/**"], methods: [GET], access: authenticated }
      - { paths: ["/api/**"], access: { roles: [editor], accessLevel: auditor } }
      - { networks: [10.0.0.0/8], access: { groups: [staff], providers: [staff] } }
  - name: shop
    hosts: [wiki.example.com]
    pathPrefix: /shop
    rules: [ { access: public } ]
`,
);

async function run(...argv: string[]): Promise<CommandRun> {
  return await runCommand(explain, ['--config', file, ...argv], { env: {} });
}

const wiki = 'https://wiki.example.com';

test('tells application, canonical path, readings, person and every rule, as text', async () => {
  const { code, out } = await run(
    '--user',
    'alice',
    '--address',
    '10.1.2.3',
    `${wiki}/%7Enotes//x?page=/admin/`,
  );
  assert.equal(
    out,
    `GET https://wiki.example.com/%7Enotes//x?page=/admin/
application: wiki (wiki.example.com, below /)
canonical:   /~notes//x (sent: /%7Enotes//x)
judged as:   /~notes//x
             /~notes//x/
             /~notes/x
             /~notes/x/
person:      Alice of staff; groups: staff; roles: none; access level: user
client:      10.1.2.3

as /~notes//x and /~notes//x/ and /~notes/x and /~notes/x/:
  rule 1  does not match: paths are /healthz
  rule 2  does not match: paths are /admin/**
  rule 3  does not match: paths are /api/**
  rule 4  does not match: paths are /api/**
  rule 5  matches: allow, every condition is met

decision: allow (conditions-met), rule 5
`,
  );
  assert.equal(code, 0);
});

const rows: { name: string; argv: string[]; code: number; says: RegExp }[] = [
  {
    name: 'the anonymous are allowed what is public',
    argv: [`${wiki}/healthz`],
    code: 0,
    says: /it is public/,
  },
  {
    name: 'the anonymous have to sign in first',
    argv: [`${wiki}/api/x`],
    code: 1,
    says: /rule 3  matches: challenge, the person is not signed in[^]*decision: challenge \(sign-in-required\), rule 3/,
  },
  {
    name: 'a rule of other methods is passed over',
    argv: ['--user', 'bob', '--provider', 'corp', '--method', 'POST', `${wiki}/api/x`],
    code: 1,
    says: /rule 3  does not match: methods are GET, not POST\n  rule 4  matches: deny, roles does not hold: it asks for editor/,
  },
  {
    name: 'mapping rules grant, and the next condition is named',
    argv: ['--user', 'bob', '--groups', 'x,editors', '--method', 'POST', `${wiki}/api/x`],
    code: 1,
    says: /roles: editor; [^]*accessLevel does not hold: it asks for at least auditor/,
  },
  {
    name: 'roles and access level from the command line',
    argv: [
      '--user',
      'b',
      '--roles',
      'editor',
      '--access-level',
      'administrator',
      '--method',
      'POST',
      `${wiki}/api/x`,
    ],
    code: 0,
    says: /decision: allow/,
  },
  {
    name: 'a group may be a DN, commas and all',
    argv: ['--user', 'b', '--groups', 'CN=admins, OU=groups, DC=x', `${wiki}/admin/x`],
    code: 0,
    says: /decision: allow \(conditions-met\), rule 2/,
  },
  {
    name: 'nobody matches from another network',
    argv: ['--user', 'alice', `${wiki}/x`],
    code: 1,
    says: /rule 5  does not match: networks are 10.0.0.0\/8\n  no rule matches: denied/,
  },
  {
    name: 'a method the application does not take',
    argv: ['--method', 'PUT', `${wiki}/healthz`],
    code: 1,
    says: /the application takes GET, POST, not PUT\ndecision: deny \(method-not-allowed\)/,
  },
  {
    name: 'an encoded slash',
    argv: [`${wiki}/healthz%2f`],
    code: 1,
    says: /encodedSlash: refuse[^]*decision: deny \(encoded-slash\)/,
  },
  {
    name: 'a path without one meaning',
    argv: [`${wiki}/public/%2e%2e/admin`],
    code: 1,
    says: /refused before any rule: .*two servers could read the path differently/,
  },
  {
    name: 'a path that two applications could claim',
    argv: [`${wiki}//shop/x`],
    code: 1,
    says: /refused before any rule: the path belongs to two applications/,
  },
  {
    name: 'an unknown host',
    argv: ['https://other.example.com/'],
    code: 1,
    says: /no application on host other/,
  },
  { name: "the gateway's own pages", argv: [`${wiki}/_vratar/login`], code: 1, says: /gateway's own page/ },
];
for (const { name, argv, code, says } of rows) {
  test(`explains: ${name}`, async () => {
    const answer = await run(...argv);
    assert.match(answer.out, says);
    assert.equal(answer.code, code);
    assert.equal(answer.err, '');
  });
}

const mistakes: { name: string; argv: string[]; says: RegExp }[] = [
  { name: 'no URL', argv: [], says: /expected one URL\nusage: vratar explain/ },
  { name: 'a path instead of a URL', argv: ['/x'], says: /expected a URL such as/ },
  {
    name: 'an unknown provider',
    argv: ['--user', 'a', '--provider', 'x', wiki],
    says: /no provider is named "x"/,
  },
  {
    name: 'an unknown access level',
    argv: ['--user', 'a', '--access-level', 'x', wiki],
    says: /user, auditor, admin/,
  },
  { name: 'groups of nobody', argv: ['--groups', 'a', wiki], says: /--groups needs --user/ },
  { name: 'a client that is no address', argv: ['--address', 'x', wiki], says: /no address/ },
  { name: 'an unknown option', argv: ['--usr', 'a', wiki], says: /--usr/ },
];
for (const { name, argv, says } of mistakes) {
  test(`exits 64 for ${name}`, async () => {
    const { code, err } = await run(...argv);
    assert.equal(code, 64);
    assert.match(err, says);
  });
}

test('exits 78 for a configuration that is invalid or missing', async () => {
  const broken = join(folder, 'broken.yaml');
  writeFileSync(broken, '[]');
  const { code, out } = await run('--config', broken, wiki);
  assert.equal(code, 78);
  assert.match(out, /broken\.yaml/);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Decision } from '#src/access/decision.ts';
import { applicationOptions } from '#src/access/options.ts';
import { compileRules } from '#src/access/rules.ts';
import { parseTarget } from '#src/http/target.ts';
import { GroupTable } from '#src/identity/group.ts';
import type { Principal } from '#src/identity/principal.ts';
import { principalOf } from '#test/support/principals.ts';

const groups = new GroupTable();
const alice = principalOf({
  username: 'alice',
  groups: [groups.intern('staff', 'cn=staff,ou=groups,dc=example,dc=test', 'corp')],
});
const root = principalOf({
  username: 'root',
  groups: [groups.intern('admins', 'cn=admins,ou=groups,dc=example,dc=test', 'corp')],
  accessLevel: 'administrator',
});
const editor = principalOf({ username: 'Editor', provider: 'staff', roles: ['editor'] });

function decide(
  rules: unknown[],
  path: string,
  principal?: Principal,
  method = 'GET',
  clientAddress = '203.0.113.1',
): Decision {
  const { rules: options, caseInsensitivePaths } = applicationOptions.parse({
    name: 'app',
    hosts: ['app.example.test'],
    rules,
  });
  const compiled = compileRules(options, caseInsensitivePaths);
  const target = parseTarget(path);
  assert.ok(target !== undefined, `${path} is refused`);
  return compiled.decide(
    { method, readings: target.readings, clientAddress },
    principal && compiled.conditionsHeld(principal),
  );
}

const wiki = [
  { paths: ['/healthz'], access: 'public' },
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/admin/**'], access: { groups: ['admins'] } },
  { paths: ['/api/**'], methods: ['GET'], access: 'authenticated' },
  { paths: ['/api/**'], access: { roles: ['editor'] } },
  { paths: ['/off/**'], access: 'deny' },
  { networks: ['10.0.0.0/8'], access: { groups: ['staff'], providers: ['corp'] } },
  { paths: ['/outside/**'], access: 'deny' },
  { access: 'authenticated' },
];

describe('the first rule that matches decides', () => {
  const rows: {
    name: string;
    path: string;
    as?: Principal;
    method?: string;
    from?: string;
    kind: Decision['kind'];
    rule: number | undefined;
  }[] = [
    { name: 'a public page is for everyone', path: '/healthz', kind: 'allow', rule: 0 },
    {
      name: 'its trailing-slash twin is the same resource',
      path: '/healthz/',
      kind: 'allow',
      rule: 0,
    },
    { name: 'a public area without its slash is not public', path: '/public', kind: 'challenge', rule: 8 },
    { name: 'a prefix ends at a segment', path: '/publicity/x', kind: 'challenge', rule: 8 },
    { name: 'an admin page asks the anonymous to sign in', path: '/admin/x', kind: 'challenge', rule: 2 },
    { name: 'an admin page refuses staff', path: '/admin/x', as: alice, kind: 'deny', rule: 2 },
    { name: 'an admin page is for admins', path: '/admin/x', as: root, kind: 'allow', rule: 2 },
    {
      name: 'the admin area without its slash is refused to staff',
      path: '/admin',
      as: alice,
      kind: 'deny',
      rule: 2,
    },
    {
      name: 'a doubled slash does not get around the rule',
      path: '//admin/x',
      as: alice,
      kind: 'deny',
      rule: 2,
    },
    { name: 'parameters do not get around the rule', path: '/admin;v=1/x', as: alice, kind: 'deny', rule: 2 },
    {
      name: 'an escaped letter does not get around the rule',
      path: '/%61dmin/x',
      as: alice,
      kind: 'deny',
      rule: 2,
    },
    { name: 'a query is not a path', path: '/admin/x?next=/public/y', kind: 'challenge', rule: 2 },
    { name: 'reading the API is for everyone signed in', path: '/api/x', as: alice, kind: 'allow', rule: 3 },
    { name: 'GET includes HEAD', path: '/api/x', as: alice, method: 'HEAD', kind: 'allow', rule: 3 },
    {
      name: 'writing the API is for editors',
      path: '/api/x',
      as: alice,
      method: 'POST',
      kind: 'deny',
      rule: 4,
    },
    { name: 'an editor may write', path: '/api/x', as: editor, method: 'POST', kind: 'allow', rule: 4 },
    { name: 'a denied area is denied to administrators', path: '/off/x', as: root, kind: 'deny', rule: 5 },
    {
      name: 'a denied area is denied to the anonymous, without a useless sign-in',
      path: '/off/x',
      kind: 'deny',
      rule: 5,
    },
    {
      name: 'a network rule matches inside the network',
      path: '/outside/x',
      as: alice,
      from: '10.1.2.3',
      kind: 'allow',
      rule: 6,
    },
    { name: 'a network rule matches nowhere else', path: '/outside/x', as: alice, kind: 'deny', rule: 7 },
    { name: 'the last rule takes the rest', path: '/', as: alice, kind: 'allow', rule: 8 },
  ];
  for (const { name, path, as, method, from, kind, rule } of rows) {
    test(name, () => {
      const decision = decide(wiki, path, as, method, from);
      assert.deepEqual({ kind: decision.kind, rule: decision.rule }, { kind, rule });
    });
  }

  test('without a rule everything is denied, signed in or not', () => {
    assert.deepEqual(decide([], '/', root), { kind: 'deny', reason: 'no-rule', rule: undefined });
    assert.equal(decide([{ paths: ['/a'], access: 'public' }], '/b').kind, 'deny');
  });
});

describe('conditions', () => {
  const rows: { name: string; access: unknown; as: Principal; kind: Decision['kind'] }[] = [
    { name: 'a group name, whatever its case', access: { groups: ['STAFF'] }, as: alice, kind: 'allow' },
    {
      name: 'a group DN, whatever its blanks',
      access: { groups: ['CN=Staff, OU=groups, DC=example, DC=test'] },
      as: alice,
      kind: 'allow',
    },
    {
      name: 'a DN matches only that entry',
      access: { groups: ['cn=staff,ou=other,dc=example,dc=test'] },
      as: alice,
      kind: 'deny',
    },
    { name: 'a group of the named directory', access: { groups: ['corp:staff'] }, as: alice, kind: 'allow' },
    {
      name: 'not the same name in another directory',
      access: { groups: ['partners:staff'] },
      as: alice,
      kind: 'deny',
    },
    { name: 'a user name, whatever its case', access: { users: ['editor'] }, as: editor, kind: 'allow' },
    { name: 'a user of the named provider', access: { users: ['staff:editor'] }, as: editor, kind: 'allow' },
    {
      name: 'not the same user name of another provider',
      access: { users: ['corp:editor'] },
      as: editor,
      kind: 'deny',
    },
    {
      name: 'an access level includes the lower ones',
      access: { accessLevel: 'auditor' },
      as: root,
      kind: 'allow',
    },
    {
      name: 'an access level excludes the lower ones',
      access: { accessLevel: 'auditor' },
      as: alice,
      kind: 'deny',
    },
    {
      name: 'all conditions must hold',
      access: { groups: ['staff'], providers: ['other'] },
      as: alice,
      kind: 'deny',
    },
    {
      name: 'inside a list any entry is enough',
      access: { groups: ['nobody', 'staff'] },
      as: alice,
      kind: 'allow',
    },
  ];
  for (const { name, access, as, kind } of rows)
    test(name, () => assert.equal(decide([{ access }], '/', as).kind, kind));
});

test('no spelling of a path is allowed more than its plain form', () => {
  const spell = (char: string): fc.Arbitrary<string> =>
    /[a-z]/.test(char)
      ? fc.constantFrom(char, `%${char.charCodeAt(0).toString(16)}`)
      : fc.constantFrom(char, '//', `;a=b${char}`);
  const spelled = fc.constantFrom('/admin/x', '/off/x', '/api/x', '/public/x', '/wiki').chain((plain) =>
    fc.tuple(
      fc.constant(plain),
      fc.tuple(...Array.from(plain, spell)).map((chars) => chars.join('')),
    ),
  );
  const strictness = { allow: 0, challenge: 1, deny: 2 };
  fc.assert(
    fc.property(spelled, fc.constantFrom(undefined, alice, root, editor), ([plain, spelling], principal) => {
      if (parseTarget(spelling) === undefined) return;
      const before = decide(wiki, plain, principal);
      const after = decide(wiki, spelling, principal);
      assert.ok(
        strictness[after.kind] >= strictness[before.kind],
        `${spelling}: ${after.kind}, ${plain}: ${before.kind}`,
      );
    }),
    { numRuns: 2_000 },
  );
});

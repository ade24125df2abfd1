import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { readConfig } from '#src/config/load.ts';
import { configSchema } from '#src/config/schema.ts';

const context = { folder: '/nonexistent', env: {} };

/** Reads, and checks what holds for every input: a verdict with places in the file, and clean prototypes. */
function read(text: string): void {
  const { config, problems } = readConfig(text, context);
  assert.equal(config === undefined, problems.length > 0, 'refused exactly when there are problems');
  const lines = text.split(/\n/).length;
  for (const { line, column, message } of problems) {
    assert.ok(line >= 1 && line <= lines + 1 && column >= 1, `${line}:${column} is outside the file`);
    assert.ok(message !== '' && message !== 'Invalid input', `says nothing: "${message}"`);
  }
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.equal(({} as Record<string, unknown>)['isAdmin'], undefined);
}

const sectionNames = Object.keys(configSchema.shape);
const keys = fc.oneof(
  fc.constantFrom(
    ...sectionNames,
    'name',
    'hosts',
    'rules',
    'access',
    'groups',
    'users',
    'type',
    'publicUrl',
  ),
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', '<<', '', '0'),
  fc.string({ maxLength: 8 }),
);
const leaves = fc.oneof(
  fc.constantFrom(
    'authenticated',
    'ldap',
    'local',
    'corp',
    '/a/**',
    'https://a.example',
    '5m',
    '${username}',
    '10.0.0.0/8',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const trees = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: 'medium', maxDepth: 5 },
    leaves,
    fc.array(tie('node'), { maxLength: 4 }),
    fc.array(fc.tuple(keys, tie('node')), { maxLength: 5 }).map((pairs) => new Map(pairs)),
  ),
})).node;

test('arbitrary text never crashes the loader', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), read), { numRuns: 500 });
});

test('text made of the punctuation of YAML never crashes the loader', () => {
  const pieces = fc.constantFrom(
    ...'- |: |? |[|]|{|}|,|&a |*a|!!str |!x |"|#|  |<<|__proto__|server|a|1'.split('|'),
    "'",
    '|\n',
    '>\n',
    '\n',
    '\t',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '\u0000',
    '\ufeff',
  );
  fc.assert(
    fc.property(
      fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join('')),
      read,
    ),
    { numRuns: 1_000 },
  );
});

test('arbitrary trees of known and foreign keys get a verdict and leave prototypes clean', () => {
  fc.assert(
    fc.property(trees, (tree) => {
      read(stringify(tree));
    }),
    { numRuns: 1_000 },
  );
});

test('arbitrary values in a sound configuration get a verdict at their place', () => {
  const paths = fc.constantFrom<readonly (string | number)[]>(
    ['server', 'listen'],
    ['server', 'workers'],
    ['server', 'trustedProxies'],
    ['session', 'cookie'],
    ['session', 'idleTimeout'],
    ['directories', 0],
    ['directories', 0, 'servers'],
    ['directories', 0, 'bind', 'password'],
    ['directories', 0, 'tls', 'caFile'],
    ['providers', 0],
    ['providers', 1, 'users'],
    ['roles', 0, 'when'],
    ['applications', 0, 'rules'],
    ['applications', 0, 'rules', 0, 'access'],
    ['applications', 0, 'headers', 'set'],
    ['applications', 0, 'upstream'],
    ['throttle', 'account'],
  );
  fc.assert(
    fc.property(paths, trees, (path, value) => {
      const config = soundConfig() as unknown;
      let holder = config as Record<string | number, unknown>;
      for (const step of path.slice(0, -1)) holder = holder[step] as Record<string | number, unknown>;
      holder[path.at(-1) as string | number] = value;
      read(stringify(config, { aliasDuplicateObjects: false }));
    }),
    { numRuns: 1_000 },
  );
});

test('the sound configuration that is spoilt above is sound', () => {
  assert.deepEqual(readConfig(stringify(soundConfig()), context).problems, []);
});

function soundConfig(): object {
  return {
    server: { publicUrl: 'https://login.example.com', trustedProxies: ['127.0.0.1'] },
    session: { cookie: { domain: 'example.com' } },
    directories: [
      {
        name: 'corp',
        kind: 'openLdap',
        servers: ['ldaps://a.example.com'],
        tls: {},
        bind: { dn: 'cn=a', password: 'x' },
        users: { baseDn: 'dc=x' },
      },
    ],
    providers: [
      { name: 'corp', type: 'ldap', directory: 'corp' },
      { name: 'staff', type: 'local', users: [{ username: 'a' }] },
    ],
    roles: [{ when: { provider: 'corp' }, grant: { roles: ['a'] } }],
    applications: [
      {
        name: 'wiki',
        hosts: ['wiki.example.com'],
        upstream: 'whoami',
        headers: { set: {} },
        rules: [{ access: { users: ['corp:a'] } }],
      },
    ],
    throttle: { account: {} },
  };
}

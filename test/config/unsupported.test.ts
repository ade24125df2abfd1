import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines, serverLine } from '#test/config/reading.ts';

const application = (rest: string): string =>
  `providers: []\napplications:\n  - { name: wiki, hosts: [wiki.example.com], ${rest} }\n`;
const unsupported: readonly (readonly [yaml: string, expect: string])[] = [
  [`${serverLine}state: { driver: redis }`, '2:18 state.driver: "redis"'],
  [`${serverLine}state: { redis: { url: "rediss://a" } }`, '2:10 state.redis'],
  [
    `${serverLine}providers: [ { name: sso, type: oidc, issuer: "https://id.example.com" } ]`,
    '2:33 providers[0].type: "oidc"',
  ],
  [
    `${serverLine}${application('upstream: ["http://a", "http://b"]')}`,
    '4:56 applications[0].upstream: a list',
  ],
  [
    `${serverLine}${application('credentials: [session, negotiate]')}`,
    '4:69 applications[0].credentials[1]: "negotiate"',
  ],
];
for (const [yaml, expect] of unsupported) {
  const place = expect.slice(expect.indexOf(' ') + 1);
  test(`says that ${place} is not supported by this version`, () => {
    const separator = /: (".*"|a list)$/.test(expect) ? ' ' : ': ';
    assert.deepEqual(readLines(yaml).problems, [`f:${expect}${separator}is not supported by this version`]);
  });
}

test('accepts what the contract writes for a feature that is off', () => {
  const yaml = application('decisionCache: off, credentials: [session], headers: { assertion: false }');
  assert.deepEqual(readLines(serverLine + yaml).problems, []);
});

test('reports every problem at once, top to bottom, also across sections that are broken', () => {
  const yaml = `server:
  listen: nowhere
  publicUrl: https://login.example.com
session: { cookie: { domain: example.org } }
directories:
  - { name: corp, kind: openLdap, servers: [], users: { baseDn: dc=x } }
  - name: corp
    kind: openLdap
    servers: ["ldap://b.example.com"]
    bind: { dn: cn=a, password: { env: MISSING } }
    users: { baseDn: dc=x }
providers:
  - { name: corp, type: ldap, directory: corp }
  - { name: other, type: ldap, directory: nothing }
sesion: {}
`;
  assert.deepEqual(readLines(yaml).problems, [
    'f:2:11 server.listen: expected host:port, [::]:port or unix:/path',
    'f:6:44 directories[0].servers: must not be empty',
    'f:9:15 directories[1].servers[0]: would carry passwords in clear text; use ldaps://, startTls: true, or allowPlaintext: true in a closed network',
    'f:10:40 directories[1].bind.password.env: the environment variable MISSING is not set',
    'f:14:43 providers[1].directory: no directory is named "nothing"',
    'f:15:1 sesion: unknown key; did you mean "session"?',
  ]);
});

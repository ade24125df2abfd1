import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines, serverLine } from '#test/config/reading.ts';

interface Row {
  readonly name: string;
  /** Follows `serverLine`, so its first line is line 2; with `whole` it is the file. */
  readonly yaml: string;
  readonly whole?: true;
  readonly expect: string;
}

const application = (rest: string): string =>
  `providers: []\napplications:\n  - { name: wiki, hosts: [wiki.example.com], ${rest} }\n`;
const local = (users: string): string => `providers:\n  - { name: staff, type: local, users: ${users} }\n`;

const rows: readonly Row[] = [
  // Shape
  { name: 'an empty file', whole: true, yaml: '', expect: 'f:1:1 server: is required' },
  { name: 'only a comment', whole: true, yaml: '# nothing\n', expect: 'f:1:1 server: is required' },
  {
    name: 'a list',
    whole: true,
    yaml: '- a\n',
    expect: 'f:1:1 (document): expected a mapping, found a list',
  },
  {
    name: 'a required key missing',
    whole: true,
    yaml: 'management: { listen: 127.0.0.1:1 }\nserver:\n  workers: 1\n',
    expect: 'f:2:1 server.publicUrl: is required',
  },
  {
    name: 'a misspelt section',
    yaml: 'managment: {}\n',
    expect: 'f:2:1 managment: unknown key; did you mean "management"?',
  },
  {
    name: 'a misspelt key',
    whole: true,
    yaml: 'server:\n  publicUrl: https://a.example\n  trustedProxys: []\n',
    expect: 'f:3:3 server.trustedProxys: unknown key; did you mean "trustedProxies"?',
  },
  {
    name: 'a key of another section',
    yaml: 'management:\n  zzz: 1\n',
    expect: 'f:3:3 management.zzz: unknown key; known here: listen',
  },
  {
    name: 'a misspelt restriction',
    yaml: application('rules: [ { acces: authenticated, access: deny } ]'),
    expect: 'f:4:57 applications[0].rules[0].acces: unknown key; did you mean "access"?',
  },
  {
    name: 'a section without content',
    yaml: 'session:\n',
    expect: 'f:2:1 session: is empty; remove the key or give it a mapping',
  },
  {
    name: 'a rule that is a text',
    yaml: application('rules: ["~ ^/(a+)+$ : staff"]'),
    expect: 'f:4:54 applications[0].rules[0]: expected a mapping, found a text',
  },
  {
    name: 'a text where a list belongs',
    yaml: 'directories: corp\n',
    expect: 'f:2:14 directories: expected a list, found a text',
  },
  // Values
  {
    name: 'a group that YAML reads as a number',
    yaml: application('rules: [ { access: { groups: [2024] } } ]'),
    expect:
      'f:4:76 applications[0].rules[0].access.groups[0]: expected a text, found a number; put it in quotes',
  },
  {
    name: 'a host with an empty label',
    yaml: application('upstream: "https://auth..cluster"'),
    expect:
      'f:4:56 applications[0].upstream: expected http://host[:port], https://host[:port], unix:/path or whoami',
  },
  {
    name: 'an upstream with a path',
    yaml: application('upstream: "http://a/b"'),
    expect:
      'f:4:56 applications[0].upstream: expected http://host[:port], https://host[:port], unix:/path or whoami',
  },
  {
    name: 'an upstream on an impossible port',
    yaml: application('upstream: "http://a:70000"'),
    expect: 'f:4:56 applications[0].upstream: expected a URL that names a possible host and port',
  },
  {
    name: 'a port that does not exist',
    yaml: 'management: { listen: 127.0.0.1:65536 }\n',
    expect: 'f:2:23 management.listen: expected a port up to 65535',
  },
  {
    name: 'a public URL with a path',
    whole: true,
    yaml: 'server: { publicUrl: https://a.example/login }\n',
    expect: 'f:1:22 server.publicUrl: expected https://host[:port] in lower case, without a path',
  },
  {
    name: 'a public URL in upper case',
    whole: true,
    yaml: 'server: { publicUrl: https://A.example }\n',
    expect: 'f:1:22 server.publicUrl: expected https://host[:port] in lower case, without a path',
  },
  {
    name: 'a network with too long a prefix',
    whole: true,
    yaml: 'server: { publicUrl: https://a.example, trustedProxies: [10.0.0.0/33] }\n',
    expect: 'f:1:58 server.trustedProxies[0]: "10.0.0.0/33": expected /0 to /32',
  },
  {
    name: 'a network that is a name',
    yaml: application('rules: [ { networks: [intranet], access: authenticated } ]'),
    expect:
      'f:4:68 applications[0].rules[0].networks[0]: "intranet" is no address and no network such as 10.0.0.0/8',
  },
  {
    name: 'a number of workers in words',
    whole: true,
    yaml: 'server: { publicUrl: https://a.example, workers: many }\n',
    expect: 'f:1:50 server.workers: expected auto or a number from 1 to 256',
  },
  {
    name: 'a duration in words',
    yaml: 'session: { idleTimeout: 5 minutes }\n',
    expect: 'f:2:25 session.idleTimeout: expected a duration such as 250ms, 15s, 5m or 12h',
  },
  {
    name: 'a duration as a bare number',
    yaml: 'session: { idleTimeout: 300 }\n',
    expect: 'f:2:25 session.idleTimeout: expected a duration such as 250ms, 15s, 5m or 12h',
  },
  {
    name: 'a duration out of range',
    yaml: 'session: { refreshInterval: 1ms }\n',
    expect: 'f:2:29 session.refreshInterval: expected a duration from 1s to 720h',
  },
  {
    name: 'an idle timeout longer than the session',
    yaml: 'session: { idleTimeout: 24h }\n',
    expect: 'f:2:25 session.idleTimeout: is longer than absoluteTimeout',
  },
  {
    name: 'half a failure',
    yaml: 'throttle: { account: { failures: 0.5 } }\n',
    expect: 'f:2:34 throttle.account.failures: expected a whole number, found a fraction',
  },
  {
    name: 'no failure allowed at all',
    yaml: 'throttle: { account: { failures: 0 } }\n',
    expect: 'f:2:34 throttle.account.failures: expected at least 1',
  },
  {
    name: 'a misspelt word',
    yaml: application('rules: [ { access: authentcated } ]'),
    expect:
      'f:4:65 applications[0].rules[0].access: expected public, authenticated, deny or conditions ' +
      '(users, groups, roles, providers, accessLevel); did you mean "authenticated"?',
  },
  {
    name: 'a misspelt choice',
    yaml: 'session: { cookie: { sameSite: strickt } }\n',
    expect: 'f:2:32 session.cookie.sameSite: expected lax, strict, none; did you mean "strict"?',
  },
  {
    name: 'conditions without a condition',
    yaml: application('rules: [ { access: {} } ]'),
    expect:
      'f:4:65 applications[0].rules[0].access: names no condition; write "authenticated" for everyone who is signed in',
  },
  {
    name: 'a list of nobody',
    yaml: application('rules: [ { access: { users: [] } } ]'),
    expect: 'f:4:74 applications[0].rules[0].access.users: must not be empty',
  },
  {
    name: 'a pattern no normalised path matches',
    yaml: application('rules: [ { paths: [/a/../b], access: deny } ]'),
    expect: 'f:4:65 applications[0].rules[0].paths[0]: must not contain "." or ".." segments',
  },
  {
    name: 'a pattern with a query',
    yaml: application('rules: [ { paths: ["/a?b=c"], access: deny } ]'),
    expect:
      'f:4:65 applications[0].rules[0].paths[0]: expected a path that starts with "/" and has no query and no blanks',
  },
  {
    name: 'two stars inside a segment',
    yaml: application('rules: [ { paths: ["/admin**"], access: deny } ]'),
    expect:
      'f:4:65 applications[0].rules[0].paths[0]: ** stands for whole segments: write /x/** and not /x**',
  },
  {
    name: 'a role entry for everybody by omission',
    yaml: 'roles:\n  - { when: {}, grant: { roles: [a] } }\n',
    expect: 'f:3:13 roles[0].when: names no condition',
  },
  {
    name: 'a role entry that grants nothing',
    yaml: 'providers: []\nroles:\n  - { when: { group: a }, grant: {} }\n',
    expect: 'f:4:34 roles[0].grant: grants nothing',
  },
  {
    name: 'a password instead of its hash',
    yaml: local('[ { username: a, passwordHash: hunter2 } ]'),
    expect:
      'f:3:71 providers[0].users[0].passwordHash: expected an argon2id hash; make one with: vratar hash-password',
  },
  {
    name: 'an unknown provider type',
    yaml: 'providers:\n  - { name: a, type: ldpa, directory: b }\n',
    expect: 'f:3:22 providers[0].type: expected ldap or local or kerberos',
  },
];

for (const { name, yaml, whole, expect } of rows) {
  test(`refuses ${name}`, () => {
    const { problems } = readLines(whole === true ? yaml : serverLine + yaml);
    assert.deepEqual(problems, [expect]);
  });
}

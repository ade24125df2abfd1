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

const directory = (rest: string): string =>
  `directories:\n  - { name: corp, kind: openLdap, users: { baseDn: dc=x }, ${rest} }\n`;
const application = (rest: string): string =>
  `providers: []\napplications:\n  - { name: wiki, hosts: [wiki.example.com], ${rest} }\n`;
const local = (users: string): string => `providers:\n  - { name: staff, type: local, users: ${users} }\n`;

const rows: readonly Row[] = [
  // Names
  {
    name: 'two directories of one name',
    yaml: `${directory('servers: ["ldaps://a"]')}  - { name: corp, kind: openLdap, users: { baseDn: dc=x }, servers: ["ldaps://b"] }\n`,
    expect: 'f:4:13 directories[1].name: is the name of directories[0] already',
  },
  {
    name: 'two providers of one name',
    yaml: `${local('[ { username: a } ]')}  - { name: staff, type: local, users: [ { username: b } ] }\n`,
    expect: 'f:4:13 providers[1].name: is the name of providers[0] already',
  },
  {
    name: 'one account in two spellings',
    yaml: local('[ { username: Alice }, { username: alice } ]'),
    expect: 'f:3:75 providers[0].users[1].username: is the account name of users[0] already',
  },
  {
    name: 'a provider of an unknown directory',
    yaml: `${directory('servers: ["ldaps://a"]')}providers:\n  - { name: a, type: ldap, directory: crop }\n`,
    expect: 'f:5:39 providers[0].directory: no directory is named "crop"; did you mean "corp"?',
  },
  {
    name: 'tickets that no provider takes',
    yaml: application('credentials: [session, negotiate]'),
    expect: 'f:4:69 applications[0].credentials[1]: no provider takes tickets: add one of the type kerberos',
  },
  {
    name: 'a challenge for tickets that are not taken',
    yaml: application('challenge: direct'),
    expect:
      'f:4:57 applications[0].challenge: asks for tickets that credentials does not list: add negotiate there',
  },
  {
    name: 'a role for an unknown provider',
    yaml: 'roles:\n  - { when: { provider: zz }, grant: { roles: [a] } }\n',
    expect: 'f:3:25 roles[0].when.provider: no provider is named "zz"',
  },
  {
    name: 'a rule for an unknown provider',
    yaml: application('rules: [ { access: { providers: [zz] } } ]'),
    expect: 'f:4:79 applications[0].rules[0].access.providers[0]: no provider is named "zz"',
  },
  {
    name: 'a rule for a person of an unknown provider',
    yaml: application('rules: [ { access: { users: ["zz:bob"] } } ]'),
    expect: 'f:4:75 applications[0].rules[0].access.users[0]: no provider is named "zz"',
  },
  {
    name: 'a rule for a group of an unknown directory',
    yaml: application('rules: [ { access: { groups: ["zz:staff"] } } ]'),
    expect: 'f:4:76 applications[0].rules[0].access.groups[0]: no directory is named "zz"',
  },
  // Applications
  {
    name: 'two applications at one place',
    yaml: `${application('pathPrefix: /a')}  - { name: other, hosts: [wiki.example.com], pathPrefix: /a/ }\n`,
    expect: 'f:5:28 applications[1].hosts[0]: host and pathPrefix /a/ belong to applications[0] already',
  },
  {
    name: 'one host twice',
    yaml: 'providers: []\napplications:\n  - { name: a, hosts: [a.example, a.example] }\n',
    expect: 'f:4:35 applications[0].hosts[1]: is written twice',
  },
  {
    name: "an application behind the gateway's own pages",
    yaml: application('pathPrefix: /_vratar/x'),
    expect: "f:4:58 applications[0].pathPrefix: is never reached: /_vratar holds the gateway's own pages",
  },
  {
    name: 'an identity header that frames the request',
    yaml: application('headers: { set: { Content-Length: "${username}" } }'),
    expect: 'f:4:64 applications[0].headers.set.Content-Length: is a header the gateway must not set',
  },
  {
    name: 'an identity header that names the client address',
    yaml: application('headers: { set: { X-Forwarded-For: "${username}" } }'),
    expect: 'f:4:64 applications[0].headers.set.X-Forwarded-For: is a header the gateway must not set',
  },
  {
    name: 'two spellings of one identity header',
    yaml: application('headers: { set: { X-Unit: "${username}", x-unit: "${email}" } }'),
    expect: 'f:4:87 applications[0].headers.set.x-unit: is the same header as another one, for applications',
  },
  {
    name: 'a header name with a blank',
    yaml: application('headers: { set: { "X Unit": a } }'),
    expect: 'f:4:64 applications[0].headers.set["X Unit"]: expected a header name of letters, digits and "-"',
  },
  {
    name: 'an unknown placeholder',
    yaml: application('headers: { set: { X-Unit: "${usrname}" } }'),
    expect:
      'f:4:72 applications[0].headers.set.X-Unit: unknown placeholder ${usrname}; did you mean ${username}?',
  },
  {
    name: 'a placeholder for an attribute no directory has',
    yaml: application('headers: { set: { X-Unit: "${attributes.unit}" } }'),
    expect: 'f:4:72 applications[0].headers.set.X-Unit: no directory declares "unit" under users.attributes',
  },
  {
    name: 'a placeholder that is not closed',
    yaml: application('headers: { set: { X-Unit: "${username" } }'),
    expect: 'f:4:72 applications[0].headers.set.X-Unit: a placeholder is not closed with "}"',
  },
  {
    name: 'a line break in a header template',
    yaml: application('headers: { set: { X-Unit: "a\\r\\nX-Evil: 1" } }'),
    expect:
      'f:4:72 applications[0].headers.set.X-Unit: must not contain line breaks or other control characters',
  },
  // Listeners and cookie
  {
    name: 'one address for both listeners',
    yaml: 'management: { listen: 127.0.0.1:8080 }\n',
    expect: 'f:2:23 management.listen: is the address of server.listen',
  },
  {
    name: 'a listener on every address at the port of the other',
    yaml: 'management: { listen: "[::]:8080" }\n',
    expect: 'f:2:23 management.listen: is the address of server.listen',
  },
  {
    name: 'the gRPC listener at the address of the public one',
    yaml: 'server: { publicUrl: "https://login.example.com", grpc: { listen: 127.0.0.1:8080 } }\n',
    whole: true,
    expect: 'f:1:67 server.grpc.listen: is the address of server.listen',
  },
  {
    name: 'the gRPC listener at the address of the management',
    yaml: 'server: { publicUrl: "https://login.example.com", grpc: { listen: "[::]:8081" } }\n',
    whole: true,
    expect: 'f:1:67 server.grpc.listen: is the address of management.listen',
  },
  {
    name: 'a cookie domain of somebody else',
    yaml: 'session: { cookie: { domain: example.org } }\n',
    expect: 'f:2:30 session.cookie.domain: does not cover login.example.com, the host of server.publicUrl',
  },
  {
    name: 'a cookie domain that only looks like the end of the host',
    yaml: 'session: { cookie: { domain: in.example.com } }\n',
    expect: 'f:2:30 session.cookie.domain: does not cover login.example.com, the host of server.publicUrl',
  },
  {
    name: 'an address as cookie domain',
    yaml: 'session: { cookie: { domain: 10.0.0.1 } }\n',
    expect: 'f:2:30 session.cookie.domain: must be a domain, not an address',
  },
  {
    name: 'SameSite none over http',
    whole: true,
    yaml: 'server: { publicUrl: "http://127.0.0.1" }\nsession: { cookie: { sameSite: none } }\n',
    expect: 'f:2:32 session.cookie.sameSite: none needs server.publicUrl with https',
  },
  // Directories
  {
    name: 'passwords in clear text off loopback',
    yaml: directory('servers: ["ldaps://a", "ldap://b.example.com"]'),
    expect:
      'f:3:83 directories[0].servers[1]: would carry passwords in clear text; use ldaps://, startTls: true, ' +
      'or allowPlaintext: true in a closed network',
  },
  {
    name: 'a user filter that finds everybody',
    yaml: 'directories:\n  - { name: a, kind: openLdap, servers: ["ldaps://a"], users: { baseDn: dc=x, filter: (uid=*) } }\n',
    expect: 'f:3:87 directories[0].users.filter: must contain %USERNAME% or %ADDRESS%',
  },
];

for (const { name, yaml, whole, expect } of rows) {
  test(`refuses ${name}`, () => {
    const { problems } = readLines(whole === true ? yaml : serverLine + yaml);
    assert.deepEqual(problems, [expect]);
  });
}

const accepted: readonly { readonly name: string; readonly yaml: string }[] = [
  {
    name: 'ldap:// upgraded by StartTLS',
    yaml: directory('servers: ["ldap://b.example.com"], startTls: true'),
  },
  {
    name: 'ldap:// on loopback',
    yaml: directory('servers: ["ldap://localhost", "ldap://127.0.0.9:10389", "ldap://[::1]"]'),
  },
  {
    name: 'ldap:// where clear text is asked for',
    yaml: directory('servers: ["ldap://b.example.com"], allowPlaintext: true'),
  },
  {
    name: 'a DN that holds a colon',
    yaml: application('rules: [ { access: { groups: ["cn=a:b,dc=x"] } } ]'),
  },
  {
    name: 'a header of another preset',
    yaml: application('headers: { set: { X-Forwarded-User: "${username}" } }'),
  },
  {
    name: 'a preset header with another content',
    yaml: application('headers: { set: { Remote-User: "${subject}" } }'),
  },
  {
    name: 'a placeholder for an attribute that a directory declares',
    yaml:
      directory('servers: ["ldaps://a"]').replace('baseDn: dc=x', 'baseDn: dc=x, attributes: { unit: ou }') +
      application('headers: { set: { X-Unit: "${attributes.unit} (${provider})" } }'),
  },
  {
    name: 'references to what exists',
    yaml:
      `${directory('servers: ["ldaps://a"]')}providers: [ { name: main, type: ldap, directory: corp } ]\n` +
      'roles: [ { when: { provider: main, group: "corp:staff", user: "main:bob" }, grant: { roles: [a] } } ]\n' +
      'applications: [ { name: a, hosts: [a.example.com], rules: [ { access: { users: ["main:bob", "eve"], groups: ["corp:staff", "staff"], providers: [main] } } ] } ]\n',
  },
  {
    name: 'one account name in two providers',
    yaml: `${local('[ { username: a } ]')}  - { name: other, type: local, users: [ { username: a } ] }\n`,
  },
  {
    name: 'one host with two prefixes, and a wildcard beside it',
    yaml: `${application('pathPrefix: /a')}  - { name: b, hosts: [wiki.example.com, "*.example.com"], pathPrefix: /b }\n`,
  },
  {
    name: 'a cookie domain above the public host',
    yaml: 'session: { cookie: { domain: example.com, sameSite: none } }\n',
  },
  { name: 'both listeners on ports the system chooses', yaml: 'management: { listen: 127.0.0.1:0 }\n' },
  { name: 'one port on two addresses', yaml: 'management: { listen: 127.0.0.2:8080 }\n' },
];

for (const { name, yaml } of accepted) {
  test(`accepts ${name}`, () => {
    assert.deepEqual(readLines(serverLine + yaml).problems, []);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines, serverLine } from '#test/config/reading.ts';

const local = 'providers: [ { name: staff, type: local, users: [ { username: a } ] } ]\n';
const head = `${serverLine}session: { cookie: { domain: example.com } }\n${local}`;
const rules = (lines: string): string =>
  `${head}roles: [ { when: { user: a }, grant: { roles: [admin] } } ]\napplications:\n  - name: wiki\n    hosts: [wiki.example.com]\n    rules:\n${lines}`;

/** Two directories with a provider each, and two applications with these headers. */
const directories = (
  first: string,
  second: string,
  claims: readonly string[] = ['', ''],
): string => `${serverLine}session: { cookie: { domain: example.com } }
directories:
  - { name: one, kind: openLdap, servers: ["ldaps://one.example.com"], users: { baseDn: dc=x } }
  - { name: two, kind: openLdap, servers: ["ldaps://two.example.com"], users: { baseDn: dc=x } }
providers:
  - { name: a, type: ldap, directory: one${claims[0]} }
  - { name: b, type: ldap, directory: two${claims[1]} }
applications:
  - { name: wiki, hosts: [a.example.com], rules: [{ access: authenticated }], headers: { set: ${first} } }
  - { name: list, hosts: [b.example.com], rules: [{ access: authenticated }], headers: { set: ${second} } }
`;

const rows: readonly { readonly name: string; readonly yaml: string; readonly expect: readonly string[] }[] =
  [
    {
      name: 'nothing about a sound configuration',
      yaml: rules('      - { access: authenticated }\n'),
      expect: [],
    },
    {
      name: 'a gRPC listener that nobody may ask',
      yaml: `server: { publicUrl: "https://login.example.com", grpc: { listen: 127.0.0.1:8082 } }\n${local}`,
      expect: ['f:1:57 server.grpc: nobody may ask over gRPC while server.trustedProxies is empty'],
    },
    {
      name: 'http off loopback',
      yaml: `server: { publicUrl: "http://login.example.com" }\n${local}`,
      expect: [
        'f:1:22 server.publicUrl: http: passwords and the session cookie travel in clear text, the cookie is not Secure',
      ],
    },
    {
      name: 'nothing about http on loopback',
      yaml: `server: { publicUrl: "http://127.0.0.1:8080" }\n${local}`,
      expect: [],
    },
    {
      name: 'that directories may hold accounts of one name, to each application that is told the name alone',
      yaml: directories('{}', '{ X-Provider: "${provider}" }'),
      expect: [
        'f:10:13 applications[0].name: sends no ${provider} or ${subject}, and the directories one and two may hold accounts of one name: the application cannot tell them apart',
      ],
    },
    {
      name: 'which suffix and domain two providers have',
      yaml: directories('{ X-S: "${subject}" }', '{ X-P: "${provider}" }', [
        ', suffixes: [Example.com, one.test], domains: [CORP]',
        ', suffixes: [two.test, example.COM], domains: [corp]',
      ]),
      expect: [
        'f:8:65 providers[1].suffixes[1]: belongs to providers[0] too: people are looked for there first',
        'f:8:89 providers[1].domains[0]: belongs to providers[0] too: people are looked for there first',
      ],
    },
    {
      name: 'that nobody can sign in',
      yaml: serverLine,
      expect: ['f:1:1 providers: no provider is configured: nobody can sign in'],
    },
    {
      name: 'each host outside the cookie domain',
      yaml: `${head}applications:\n  - name: a\n    hosts: [a.example.com, b.example.org, notexample.com, "*.example.com", localhost]\n    rules: [ { access: deny } ]\n`,
      expect: [
        'f:6:28 applications[0].hosts[1]: b.example.org is not covered by session.cookie.domain: people sign in once more on this host',
        'f:6:43 applications[0].hosts[2]: notexample.com is not covered by session.cookie.domain: people sign in once more on this host',
      ],
    },
    {
      name: 'each host that needs its own sign-in when no cookie domain is set',
      yaml: `${serverLine}${local}applications:\n  - { name: a, hosts: [login.example.com, a.example.com], rules: [ { access: deny } ] }\n`,
      expect: [
        'f:4:43 applications[0].hosts[1]: a.example.com is not covered by session.cookie.domain: people sign in once more on this host',
      ],
    },
    {
      name: 'an application without rules',
      yaml: `${head}applications: [ { name: a, hosts: [a.example.com] } ]\n`,
      expect: ['f:4:25 applications[0].name: has no rules: every request is denied'],
    },
    {
      name: 'a rule after one that matches everything',
      yaml: rules(
        '      - { access: authenticated }\n      - { paths: ["/admin/**"], access: { roles: [admin] } }\n',
      ),
      expect: ['f:10:9 applications[0].rules[1]: never decides: rules[0] matches everything it matches'],
    },
    {
      name: 'a rule below the path of an earlier one',
      yaml: rules(
        '      - { paths: ["/a/**"], access: authenticated }\n      - { paths: [/a/b, "/a/c/**"], methods: [GET], access: deny }\n',
      ),
      expect: ['f:10:9 applications[0].rules[1]: never decides: rules[0] matches everything it matches'],
    },
    {
      name: 'HEAD after GET',
      yaml: rules(
        '      - { methods: [GET], access: authenticated }\n      - { methods: [HEAD], access: deny }\n',
      ),
      expect: ['f:10:9 applications[0].rules[1]: never decides: rules[0] matches everything it matches'],
    },
    {
      name: 'nothing about rules for other methods, networks or paths',
      yaml: rules(
        '      - { paths: ["/a/**"], methods: [GET], access: authenticated }\n' +
          '      - { paths: ["/a/**"], access: { roles: [admin] } }\n' +
          '      - { paths: ["/ab"], access: { roles: [admin] } }\n' +
          '      - { access: authenticated }\n',
      ),
      expect: [],
    },
    {
      name: 'a restricting rule that is opened again',
      yaml: rules(
        '      - { paths: [/a], methods: [POST], access: { roles: [admin] } }\n      - { paths: [/b, /a], access: public }\n',
      ),
      expect: [
        'f:10:9 applications[0].rules[1]: is more open than rules[0] for the same path; requests which that rule does not match are let in here',
      ],
    },
    {
      name: 'a network restriction that is opened again for everybody else',
      yaml: rules(
        '      - { networks: [10.0.0.0/8], access: { roles: [admin] } }\n      - { access: authenticated }\n',
      ),
      expect: [
        'f:10:9 applications[0].rules[1]: is more open than rules[0] for the same path; requests which that rule does not match are let in here',
      ],
    },
    {
      name: 'a role that nothing grants',
      yaml: rules('      - { access: { roles: [admin, editor] } }\n'),
      expect: ['f:9:36 applications[0].rules[0].access.roles[1]: nothing under roles grants "editor"'],
    },
  ];

for (const { name, yaml, expect } of rows) {
  test(`says ${name}`, () => {
    const { problems, warnings } = readLines(yaml);
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings, expect);
  });
}

const twins = (headers: string): string => `${serverLine}providers:
  - { name: one, type: local, users: [ { username: Alice } ] }
  - { name: two, type: local, users: [ { username: alice } ] }
applications:
  - { name: a, hosts: [login.example.com], headers: ${headers}, rules: [ { access: authenticated } ] }
`;

test('names each application that cannot tell two people of one account name apart', () => {
  assert.deepEqual(readLines(twins('{}')).warnings, [
    'f:6:13 applications[0].name: sends no ${provider} or ${subject}, and several providers hold the account alice: ' +
      'the application cannot tell them apart',
  ]);
  assert.deepEqual(readLines(twins('{ set: { X-Provider: "${provider}" } }')).warnings, []);
});

test('warnings of the parts that could be read come together with the problems', () => {
  const { problems, warnings } = readLines(
    `server: { publicUrl: "http://a.example" }\nproviders: [ { name: A } ]\n`,
  );
  assert.equal(problems.length, 1);
  assert.equal(warnings.length, 1);
});

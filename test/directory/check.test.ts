import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { checkDirectory } from '#src/directory/check.ts';
import { createAuthority } from '#test/servers/certificates.ts';
import { startScriptedLdapServer } from '#test/servers/scripted-ldap-server.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { groupsBase, peopleBase, personDn, policiesBase, service } from '#test/servers/slapd-data.ts';
import { parseOptions } from './directories.ts';

const authority = await createAuthority();
const inTenDays = new Date(Date.now() + 10.5 * 86_400_000)
  .toISOString()
  .replaceAll(/[-:T]/g, '')
  .slice(0, 14);
const server = await startSlapd({
  tls: { authority, certificate: await authority.issue({ hosts: ['127.0.0.1'], until: `${inTenDays}Z` }) },
});
const year = (years: number): string => `${new Date().getFullYear() + years}0101000000Z`;
const old = await createAuthority('Old authority', 20);
const [expired, early, aging, strict, other] = await Promise.all([
  startSlapd({
    tls: {
      authority,
      certificate: await authority.issue({ hosts: ['127.0.0.1'], from: year(-2), until: year(-1) }),
    },
    globalLines: ['security simple_bind=128'],
  }),
  startSlapd({
    tls: {
      authority,
      certificate: await authority.issue({ hosts: ['127.0.0.1'], from: year(2), until: year(3) }),
    },
  }),
  startSlapd({ tls: { authority: old } }),
  startSlapd({
    access: ['access to attrs=pwdAccountLockedTime,employeeType by * none'],
    globalLines: ['sizelimit 3'],
    people: [
      {
        uid: 'locksmith',
        password: 'locksmith-password',
        attributes: {
          pwdAccountLockedTime: '000001010000Z',
          pwdPolicySubentry: `cn=strict,${policiesBase}`,
        },
      },
    ],
  }),
  createAuthority('Somebody else'),
]);
after(async () => {
  for (const each of [server, expired, early, aging, strict, authority, old, other])
    await each[Symbol.asyncDispose]();
});

const tls = { caFile: authority.caFile };
const users = { baseDn: peopleBase };
const cases: readonly {
  name: string;
  url?: string;
  options?: Record<string, unknown>;
  expect: readonly RegExp[];
}[] = [
  { name: 'everything right', expect: [] },
  {
    name: 'a certificate about to expire',
    url: server.secureUrl,
    options: { tls },
    expect: [/^The server's certificate expires in 10 days; have it renewed\.$/],
  },
  {
    name: 'an authority about to expire',
    url: aging.secureUrl,
    options: { tls: { caFile: old.caFile } },
    expect: [
      /^The authority above the server's certificate, Old authority, expires in (19|20) days; have it renewed\.$/,
    ],
  },
  {
    name: 'an unknown authority',
    url: server.secureUrl,
    options: { tls: { caFile: other.caFile } },
    expect: [/not trusted.*tls\.caFile/],
  },
  {
    name: 'another name in the certificate',
    url: server.secureUrl,
    options: { tls: { ...tls, serverName: 'x.test' } },
    expect: [
      /another name \(127\.0\.0\.1\), not for x\.test; use its name in servers, or set tls\.serverName\.$/,
    ],
  },
  {
    name: 'a certificate that has expired',
    url: expired.secureUrl,
    options: { tls },
    expect: [/^The server's certificate has expired; have it renewed\.$/],
  },
  {
    name: 'a certificate that is not valid yet',
    url: early.secureUrl,
    options: { tls },
    expect: [/not valid yet; set the clock/],
  },
  {
    name: 'the clear-text address where passwords need encryption',
    url: expired.url,
    expect: [/demands encryption \(LDAP result 13\); use ldaps:\/\/ or startTls: true/],
  },
  {
    name: 'a TLS port taken for a plain one',
    url: server.secureUrl.replace('ldaps:', 'ldap:'),
    options: { timeout: '1s' },
    expect: [/whether the port is one for ldaps:\/\//],
  },
  {
    name: 'a plain port taken for one with TLS',
    url: server.url.replace('ldap:', 'ldaps:'),
    expect: [/different ports|check host, port and firewalls/],
  },
  {
    name: 'no file of authorities',
    url: server.secureUrl,
    options: { tls: { caFile: '/nowhere' } },
    expect: [/tls\.caFile/],
  },
  { name: 'nobody listens', url: 'ldap://127.0.0.1:1', expect: [/Nothing listens there/] },
  {
    name: 'a wrong service password',
    options: { bind: { ...service, password: 'x' } },
    expect: [/service account cn=vratar.* refused; correct bind/],
  },
  {
    name: 'a base that does not exist',
    options: { users: { baseDn: 'ou=nobody,dc=example,dc=test' } },
    expect: [/users\.baseDn .* does not exist/],
  },
  {
    name: 'people that are not searched',
    options: {
      users: { baseDn: 'ou=nobody,dc=example,dc=test', dnTemplate: `uid=%USERNAME%,${peopleBase}` },
    },
    expect: [],
  },
  {
    name: 'a filter that matches nobody',
    options: { users: { ...users, filter: '(&(uid=%USERNAME%)(objectClass=device))' } },
    expect: [/users\.filter matches nobody/],
  },
  {
    name: 'a negated attribute the server does not know',
    options: { users: { ...users, filter: '(&(uid=%USERNAME%)(!(nsAccountLock=TRUE))(!(sn=Brown)))' } },
    expect: [
      /users\.filter matches nobody because the server does not compare nsAccountLock for the service/,
    ],
  },
  {
    name: 'a negated attribute the service account may not read',
    url: strict.url,
    options: { users: { ...users, filter: '(&(uid=%USERNAME%)(!(employeeType=left)))' }, groups: undefined },
    expect: [/does not compare employeeType for the service account; grant read access/],
  },
  {
    name: 'a lock the service account may not read, and a low limit of entries',
    url: strict.url,
    expect: [
      /^The service account cannot read pwdAccountLockedTime of .*keep their sessions; grant read access\.$/,
      /cuts answers to the service account after 3 entries.*raise its size limit/,
    ],
  },
  {
    name: 'a locked service account',
    url: strict.url,
    options: { bind: { dn: personDn('locksmith'), password: 'locksmith-password' } },
    expect: [/service account uid=locksmith.* is locked; unlock it/],
  },
  {
    name: 'a name attribute nobody has',
    options: { users: { ...users, attributes: { username: 'employeeNumber' } } },
    expect: [/no readable employeeNumber/],
  },
  {
    name: 'a group base that does not exist',
    options: { groups: { baseDn: `ou=x,${groupsBase}` } },
    expect: [/groups\.baseDn .* does not exist/],
  },
  {
    name: 'a group name nothing has',
    options: { groups: { baseDn: groupsBase, nameAttribute: 'sn' } },
    expect: [/no readable sn.*correct groups\.nameAttribute/],
  },
  {
    name: 'a group base that holds people',
    options: { groups: { baseDn: peopleBase } },
    expect: [/No group below ou=people.*matches groups\.filter.*correct groups\.baseDn or groups\.filter/],
  },
  {
    name: 'a membership attribute nobody has',
    options: { groups: { method: 'userAttribute', userAttribute: 'seeAlso' } },
    expect: [/Nobody below users\.baseDn has a readable seeAlso/],
  },
  {
    name: 'anonymous searches where they see nobody',
    options: { bind: undefined },
    expect: [/users\.baseDn .* not readable.*holds dc=example,dc=test/, /groups\.baseDn .* not readable/],
  },
];

for (const { name, url = server.url, options, expect } of cases) {
  test(`check, ${name}: ${expect.length === 0 ? 'no finding' : 'one sentence that says what to do'}`, async () => {
    const findings = await checkDirectory(parseOptions([url], options), {
      signal: AbortSignal.timeout(10_000),
    });
    assert.equal(findings.length, expect.length, JSON.stringify(findings));
    expect.forEach((pattern, index) => assert.match(findings[index]?.message ?? '', pattern));
  });
}

test('the service account is left alone where it was refused just now, and the finding is told all the same', async () => {
  await server.clearOperations();
  const findings = await checkDirectory(parseOptions([server.url]), {
    signal: AbortSignal.timeout(10_000),
    mayBind: () => false,
  });
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['service-account-refused'],
  );
  // The farewell of an earlier connection may be logged late; it asks nothing.
  assert.deepEqual(
    (await server.operations()).filter(({ kind }) => kind !== 'unbind'),
    [],
  );
});

test('a check that is ended ends, with what it has', async () => {
  await using silent = await startScriptedLdapServer(() => []);
  const end = new AbortController();
  const checked = checkDirectory(parseOptions([silent.url]), { signal: end.signal });
  setTimeout(() => end.abort(), 50);
  assert.deepEqual(
    (await checked).map(({ code }) => code),
    ['not-answering'],
  );
});

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { checkDirectory } from '#src/directory/check.ts';
import { createAuthority } from '#test/servers/certificates.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { groupsBase, peopleBase, service } from '#test/servers/slapd-data.ts';
import { parseOptions } from './directories.ts';

const authority = await createAuthority();
const inTenDays = new Date(Date.now() + 10.5 * 86_400_000)
  .toISOString()
  .replaceAll(/[-:T]/g, '')
  .slice(0, 14);
const server = await startSlapd({
  tls: { authority, certificate: await authority.issue({ hosts: ['127.0.0.1'], until: `${inTenDays}Z` }) },
});
const other = await createAuthority('Somebody else');
after(async () => {
  for (const each of [server, authority, other]) await each[Symbol.asyncDispose]();
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
    name: 'an unknown authority',
    url: server.secureUrl,
    options: { tls: { caFile: other.caFile } },
    expect: [/not trusted.*tls\.caFile/],
  },
  {
    name: 'another name in the certificate',
    url: server.secureUrl,
    options: { tls: { ...tls, serverName: 'x.test' } },
    expect: [/another name.*tls\.serverName/],
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
    name: 'a filter that matches nobody',
    options: { users: { ...users, filter: '(&(uid=%USERNAME%)(objectClass=device))' } },
    expect: [/users\.filter matches nobody/],
  },
  {
    name: 'a negated attribute the server does not know',
    options: { users: { ...users, filter: '(&(uid=%USERNAME%)(!(nsAccountLock=TRUE)))' } },
    expect: [/users\.filter matches nobody/],
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
    expect: [/groups\.nameAttribute/],
  },
  {
    name: 'a membership attribute nobody has',
    options: { groups: { method: 'userAttribute', userAttribute: 'seeAlso' } },
    expect: [/has no seeAlso/],
  },
  {
    name: 'anonymous searches where they see nobody',
    options: { bind: undefined },
    expect: [/users\.baseDn .* not readable/],
  },
];

for (const { name, url = server.url, options, expect } of cases) {
  test(`check, ${name}: ${expect.length === 0 ? 'no finding' : 'one sentence that says what to do'}`, async () => {
    const findings = await checkDirectory(parseOptions([url], options), AbortSignal.timeout(10_000));
    assert.equal(findings.length, expect.length, JSON.stringify(findings));
    expect.forEach((pattern, index) => assert.match(findings[index]?.message ?? '', pattern));
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServerUrl, toEndpoints } from '#src/directory/endpoint.ts';
import { resolveSettings } from '#src/directory/kinds.ts';
import { directoryOptions } from '#src/directory/options.ts';
import { parseOptions } from './directories.ts';

const base = { name: 'corp', kind: 'openLdap', servers: ['ldap://127.0.0.1'], users: { baseDn: 'dc=x' } };

const refused: readonly { name: string; change: Record<string, unknown>; path: string; message: RegExp }[] = [
  {
    name: 'StartTLS over ldaps',
    change: { servers: ['ldaps://a'], startTls: true },
    path: 'servers.0',
    message: /encrypted from the start/,
  },
  { name: 'port 70000', change: { servers: ['ldap://a:70000'] }, path: 'servers.0', message: /port/ },
  { name: 'groups without a base', change: { groups: {} }, path: 'groups.baseDn', message: /needed/ },
  {
    name: 'direct groups of FreeIPA without a base',
    change: { kind: 'freeIpa', groups: { nested: false } },
    path: 'groups.baseDn',
    message: /needed/,
  },
  {
    name: 'direct groups computed by Active Directory',
    change: { kind: 'activeDirectory', groups: { method: 'tokenGroups', nested: false } },
    path: 'groups.nested',
    message: /userAttribute/,
  },
  {
    name: 'passwords of Active Directory changed in clear text',
    change: { kind: 'activeDirectory', passwordChange: 'directory' },
    path: 'passwordChange',
    message: /over TLS only/,
  },
  {
    name: 'passwords of FreeIPA changed in clear text on one of its servers',
    change: { kind: 'freeIpa', servers: ['ldaps://a', 'ldap://b'], passwordChange: 'directory' },
    path: 'passwordChange',
    message: /over TLS only/,
  },
  {
    name: 'passwords of Active Directory changed by nobody',
    change: { kind: 'activeDirectory', servers: ['ldaps://a'], passwordChange: 'directory' },
    path: 'passwordChange',
    message: /service account with a password/,
  },
  {
    name: 'a page for passwords in clear text',
    change: { passwordChangeUrl: 'http://password.example.test/' },
    path: 'passwordChangeUrl',
    message: /https/,
  },
  {
    name: 'a filter with a mistake',
    change: { users: { baseDn: 'dc=x', filter: '(uid=%USERNAME%' } },
    path: 'users.filter',
    message: /character 16: expected "\)"/,
  },
  {
    name: 'a filter without the name',
    change: { users: { baseDn: 'dc=x', filter: '(uid=alice)' } },
    path: 'users.filter',
    message: /%USERNAME%/,
  },
  ...['uid=alice,ou=people', 'ou=people,uid=%USERNAME%', '%USERNAME%', 'uid=%USERNAME%ou=people,'].map(
    (dnTemplate) => ({
      name: `the DN template ${dnTemplate}`,
      change: { users: { baseDn: 'dc=x', dnTemplate } },
      path: 'users.dnTemplate',
      message: /expected a DN/,
    }),
  ),
  {
    name: 'the DN as attribute',
    change: { users: { baseDn: 'dc=x', attributes: { username: 'DN' } } },
    path: 'users.attributes.username',
    message: /no attribute/,
  },
  {
    name: 'a service account that is no DN',
    change: { bind: { dn: 'EXTERNAL', password: 'x' } },
    path: 'bind.dn',
    message: /expected a DN/,
  },
  { name: 'an unknown kind', change: { kind: 'x500' }, path: 'kind', message: /./ },
  { name: 'an unknown key', change: { server: 'ldap://a' }, path: '', message: /server/ },
];

for (const { name, change, path, message } of refused) {
  test(`refused with its place: ${name}`, () => {
    const parsed = directoryOptions.safeParse({ ...base, ...change });
    const issue = parsed.error?.issues.find((each) => each.path.join('.') === path);
    assert.match(issue?.message ?? `no issue at ${path}: ${JSON.stringify(parsed.error?.issues)}`, message);
  });
}

test('the defaults of OpenLDAP are filled in, what is configured stays', () => {
  const settings = resolveSettings(
    parseOptions(['ldap://127.0.0.1'], {
      users: { baseDn: 'dc=x', attributes: { username: 'mail', floor: 'l' } },
    }),
  );
  assert.equal(settings.attributes.username, 'mail');
  assert.equal(settings.attributes.familyName, 'sn');
  assert.deepEqual(settings.furtherAttributes, [['floor', 'l']]);
  assert.equal(settings.groups?.method, 'search');
  const requested = settings.requestedAttributes;
  assert.ok(['mail', 'l', 'entryUUID', 'pwdReset'].every((attribute) => requested.includes(attribute)));
  assert.equal(requested.length, new Set(requested.map((attribute) => attribute.toLowerCase())).size);
});

const kindRows = [
  { kind: 'openLdap', username: 'uid', id: 'entryUUID', lock: 'pwdAccountLockedTime', nested: 'search' },
  { kind: 'freeIpa', username: 'uid', id: 'ipaUniqueID', lock: 'nsAccountLock', nested: 'userAttribute' },
  {
    kind: 'activeDirectory',
    username: 'sAMAccountName',
    id: 'objectGUID',
    lock: 'userAccountControl',
    nested: 'tokenGroups',
  },
] as const;

for (const { kind, username, id, lock, nested } of kindRows) {
  test(`${kind}: groups by ${nested}, known by ${id}, locked by ${lock}`, () => {
    const settings = resolveSettings(parseOptions(['ldap://127.0.0.1'], { kind }));
    assert.equal(settings.attributes.username, username);
    assert.equal(settings.idAttributes[0], id);
    assert.equal(settings.groups?.method, nested);
    for (const attribute of [username, id, lock]) assert.ok(settings.requestedAttributes.includes(attribute));
  });
}

test('whose attributes tell the status, and what somebody is known by, can be configured', () => {
  const users = { baseDn: 'dc=x', idAttribute: 'employeeNumber' };
  const read = (status: string) =>
    resolveSettings(
      parseOptions(['ldap://127.0.0.1'], { kind: 'freeIpa', groups: undefined, users: { ...users, status } }),
    ).requestedAttributes.slice(-2);
  assert.deepEqual(read('activeDirectory'), ['accountExpires', 'pwdLastSet']);
  assert.deepEqual(read('bindOnly'), ['displayName', 'employeeNumber']);
});

const groupBases = [
  ['activeDirectory', 'ou=people,DC=corp,dc=test', 'DC=corp,dc=test'],
  ['activeDirectory', 'dc=corp,dc=test', 'dc=corp,dc=test'],
  ['activeDirectory', 'ou=a\\,dc=b,dc=corp', 'dc=corp'],
  ['activeDirectory', 'o=corp', 'o=corp'],
  ['freeIpa', 'CN=users, cn=accounts,dc=x', 'cn=groups,cn=accounts,dc=x'],
  ['freeIpa', 'cn=accounts,dc=x', 'cn=groups,cn=accounts,dc=x'],
  ['freeIpa', 'ou=people,dc=x', undefined],
] as const;

for (const [kind, baseDn, expect] of groupBases) {
  test(`${kind}: people below ${baseDn} may be in any group below ${expect ?? 'anything'}`, () => {
    const settings = resolveSettings(
      parseOptions(['ldap://127.0.0.1'], { kind, users: { baseDn }, groups: {} }),
    );
    assert.equal(settings.groups?.baseDn, expect);
  });
}

const urls = [
  ['ldap://a.example', 'a.example', 389, false],
  ['ldaps://a.example/', 'a.example', 636, true],
  ['ldap://[::1]:1389', '::1', 1389, false],
  ['ldaps://10.0.0.1:3269', '10.0.0.1', 3269, true],
] as const;

for (const [url, host, port, isSecure] of urls) {
  test(`${url} is ${host}, port ${port}`, () => {
    assert.deepEqual(parseServerUrl(url), { host, port, isSecure });
  });
}

test('three ways to speak, and what the certificate must carry', () => {
  const transports = (servers: string[], more = {}) =>
    toEndpoints(parseOptions(servers, more)).map(({ transport, certificateName }) => [
      transport,
      certificateName,
    ]);
  assert.deepEqual(transports(['ldap://127.0.0.1']), [['plain', '127.0.0.1']]);
  assert.deepEqual(transports(['ldap://127.0.0.1'], { startTls: true }), [['startTls', '127.0.0.1']]);
  assert.deepEqual(transports(['ldaps://a.test'], { tls: { serverName: 'b.test' } }), [['ldaps', 'b.test']]);
});

test('an unreadable file of authorities is a mistake of configuration', () => {
  const options = parseOptions(['ldaps://a.test'], { tls: { caFile: '/nowhere/ca.pem' } });
  assert.throws(() => toEndpoints(options), { code: 'CONFIG_INVALID' });
});

const bind = { dn: 'cn=vratar,dc=x', password: 'x' };
const ways: readonly (readonly [what: string, change: Record<string, unknown>, isChanged: boolean])[] = [
  ['OpenLDAP on loopback', {}, true],
  ['OpenLDAP, when it is off', { passwordChange: 'off' }, false],
  ['FreeIPA over ldaps', { kind: 'freeIpa', servers: ['ldaps://a'] }, true],
  ['FreeIPA in clear text', { kind: 'freeIpa' }, false],
  ['Active Directory over StartTLS', { kind: 'activeDirectory', startTls: true, bind }, true],
  ['Active Directory without a service account', { kind: 'activeDirectory', startTls: true }, false],
  ['Active Directory in clear text', { kind: 'activeDirectory', bind }, false],
];
for (const [what, change, isChanged] of ways) {
  test(`passwords are ${isChanged ? '' : 'not '}changed unless it is configured: ${what}`, () => {
    const settings = resolveSettings(directoryOptions.parse({ ...base, ...change }));
    assert.equal(settings.passwordMethod !== undefined, isChanged);
  });
}

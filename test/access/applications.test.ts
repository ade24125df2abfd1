import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Applications } from '#src/access/applications.ts';
import { compileRoles } from '#src/access/roles.ts';
import { GroupTable } from '#src/identity/group.ts';
import { principalOf } from '#test/support/principals.ts';

function application(name: string, hosts: string[], pathPrefix = '/', caseInsensitivePaths = false) {
  return { name, options: { hosts, pathPrefix, caseInsensitivePaths } };
}

describe('an application is found', () => {
  const applications = new Applications([
    application('root', ['app.example.test']),
    application('wiki', ['app.example.test'], '/wiki'),
    application('deep', ['app.example.test'], '/wiki/deep/'),
    application('fold', ['fold.example.test'], '/Wiki', true),
    application('any', ['*.example.test']),
    application('sub', ['*.sub.example.test']),
    application('six', ['[::1]']),
  ]);
  const rows: [host: string, path: string, name: string | undefined][] = [
    ['app.example.test', '/', 'root'],
    ['app.example.test', '/wiki', 'wiki'],
    ['app.example.test', '/wiki/', 'wiki'],
    ['app.example.test', '/wiki/page', 'wiki'],
    ['app.example.test', '/wikipedia', 'root'],
    ['app.example.test', '/wiki/deep/x', 'deep'],
    ['app.example.test', '/WIKI', 'root'],
    ['fold.example.test', '/wIKI/x', 'fold'],
    ['fold.example.test', '/other', undefined],
    ['x.example.test', '/', 'any'],
    ['x.y.example.test', '/', 'any'],
    ['x.sub.example.test', '/', 'sub'],
    ['example.test', '/', undefined],
    ['evilexample.test', '/', undefined],
    ['[::1]', '/', 'six'],
  ];
  for (const [host, path, name] of rows) {
    test(`${host}${path} is ${name ?? "nobody's"}`, () =>
      assert.equal(applications.find(host, path)?.name, name));
  }

  test('an exact host is not served by a wildcard when its prefixes do not match', () => {
    assert.equal(applications.find('fold.example.test', '/x'), undefined);
    assert.ok(applications.knowsHost('fold.example.test'));
  });
});

describe('mapping rules', () => {
  const groups = new GroupTable();
  const admins = groups.intern('admins', 'cn=admins,ou=groups,dc=example,dc=test', 'corp');
  const map = compileRoles(
    [
      {
        when: { provider: 'corp', group: 'CN=Admins,ou=groups,dc=example,dc=test' },
        grant: { roles: ['admin'], groups: ['site-admins'], accessLevel: 'administrator' },
      },
      { when: { group: 'site-admins' }, grant: { roles: ['never'], groups: [] } },
      { when: {}, grant: { roles: ['everyone'], groups: [], accessLevel: 'user' } },
    ],
    groups,
  );

  test('grant roles, groups and a level to whom they apply', () => {
    const mapped = map(principalOf({ groups: [admins] }));
    assert.deepEqual(mapped.roles, ['admin', 'everyone']);
    assert.deepEqual(
      mapped.groups.map(({ name }) => name),
      ['admins', 'site-admins'],
    );
    assert.equal(mapped.accessLevel, 'administrator');
  });

  test('see the principal as the provider gave it, never what another rule granted', () => {
    assert.ok(!map(principalOf({ groups: [admins] })).roles.includes('never'));
  });

  test('leave the level alone of whom they do not raise', () => {
    const mapped = map(principalOf({ accessLevel: 'auditor' }));
    assert.equal(mapped.accessLevel, 'auditor');
    assert.deepEqual(mapped.roles, ['everyone']);
  });
});

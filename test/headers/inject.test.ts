import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeList, encodeValue, hasControls } from '#src/headers/encoding.ts';
import { assertedGroups, compileInjector } from '#src/headers/inject.ts';
import { headersOptions } from '#src/headers/options.ts';
import { HeaderStrip } from '#src/headers/strip.ts';
import { GroupTable } from '#src/identity/group.ts';
import { principalOf } from '#test/support/principals.ts';

const table = new GroupTable();
const ivan = principalOf({
  username: 'ivan',
  displayName: 'Иван Петров',
  email: undefined,
  groups: [
    table.intern('staff', 'cn=staff,dc=example,dc=test', 'corp'),
    table.intern('a,b'),
    table.intern('app-wiki'),
  ],
  roles: ['editor', 'reader'],
  attributes: { department: ['R&D', 'Ops'] },
});

function render(options: object, principal = ivan): Record<string, string> {
  return Object.fromEntries(compileInjector(headersOptions.parse(options)).render(principal));
}

describe('encoding of a value', () => {
  const name = 'Иван Петров';
  const rows: { encoding: 'utf8' | 'percent' | 'rfc8187' | 'base64'; value: string; expect: string }[] = [
    { encoding: 'utf8', value: name, expect: Buffer.from(name).toString('latin1') },
    {
      encoding: 'percent',
      value: name,
      expect: '%D0%98%D0%B2%D0%B0%D0%BD %D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2',
    },
    { encoding: 'percent', value: '100%', expect: '100%25' },
    {
      encoding: 'rfc8187',
      value: name,
      expect: "UTF-8''%D0%98%D0%B2%D0%B0%D0%BD%20%D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2",
    },
    { encoding: 'rfc8187', value: 'plain text', expect: 'plain text' },
    { encoding: 'base64', value: name, expect: '0JjQstCw0L0g0J/QtdGC0YDQvtCy' },
    { encoding: 'utf8', value: 'a\r\nSet-Cookie: x', expect: 'a Set-Cookie: x' },
    { encoding: 'percent', value: 'a\0b\x7fc', expect: 'a b c' },
    { encoding: 'utf8', value: 'abc\u202egnp.exe', expect: 'abc gnp.exe' },
    { encoding: 'utf8', value: '', expect: '' },
  ];
  for (const { encoding, value, expect } of rows) {
    test(`${encoding}: ${JSON.stringify(value)}`, () => assert.equal(encodeValue(value, encoding), expect));
  }

  test('never lets a byte pass that ends a header, in any mode', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('utf8', 'percent', 'rfc8187', 'base64'),
        (value, encoding) => {
          assert.doesNotMatch(encodeValue(value, encoding), /[^\x20-\x7e\x80-\xff]/);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('mode percent decodes back to the value and its lists split back to their items', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 })), (items) => {
        const clean = items.map((item) => item.toWellFormed()).filter((item) => !hasControls(item));
        if (clean.length === 0) return;
        assert.deepEqual(encodeList(clean, ',', 'percent').split(',').map(decodeURIComponent), clean);
      }),
    );
  });
});

describe('a value that is too long', () => {
  for (const encoding of ['utf8', 'percent', 'rfc8187', 'base64'] as const) {
    test(`is cut between two characters, mode ${encoding}`, () => {
      const encoded = encodeValue('я'.repeat(1_000_000), encoding);
      assert.ok(encoded.length <= 1_024 && encoded.length > 1_000, String(encoded.length));
      const shorter = encodeValue('я'.repeat(100), encoding);
      assert.equal(encoded.slice(0, 120), shorter.slice(0, 120));
    });
  }

  test('is left alone up to the limit', () => {
    assert.equal(encodeValue('a'.repeat(1_024), 'utf8').length, 1_024);
    assert.equal(encodeValue('a'.repeat(1_025), 'utf8').length, 1_024);
    assert.equal(encodeValue(`${'a'.repeat(1_023)}😀`, 'percent'), 'a'.repeat(1_023));
  });
});

describe('identifiers', () => {
  test('are sent composed, so that one person has one spelling', () => {
    assert.equal(render({}, principalOf({ username: 'Jose\u0301' }))['Remote-User'], 'Jos\u00c3\u00a9');
  });

  test('are never repaired: without its line break it would be another name', () => {
    const headers = render(
      {},
      principalOf({ username: 'eve\nroot1', groups: [table.intern('staff\r\nadmins')] }),
    );
    assert.equal(headers['Remote-User'], '');
    assert.equal(headers['Remote-Groups'], '');
  });
});

describe('identity headers', () => {
  test('follow the preset and are sent empty where a value is missing', () => {
    assert.deepEqual(render({ encoding: 'percent' }), {
      'Remote-User': 'ivan',
      'Remote-Groups': 'staff,a%2Cb,app-wiki',
      'Remote-Name': '%D0%98%D0%B2%D0%B0%D0%BD %D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2',
      'Remote-Email': '',
      'Remote-Roles': 'editor,reader',
      'Remote-Groups-Overflow': '',
    });
  });

  test('are all there, and all empty, for the anonymous', () => {
    const injector = compileInjector(headersOptions.parse({ preset: 'authRequest' }));
    assert.deepEqual(
      injector.render(undefined).map(([name]) => name),
      injector.names,
    );
    assert.ok(injector.render(undefined).every(([, value]) => value === ''));
  });

  test('may be added and replaced by templates, which never expand twice', () => {
    const headers = render(
      {
        set: {
          'X-Department': '${attributes.department}',
          'Remote-User': '${provider}:${username}',
          'X-Name': '<${displayName}>',
        },
      },
      principalOf({ username: 'eve', displayName: '${email}', attributes: { department: ['R&D'] } }),
    );
    assert.equal(headers['X-Department'], 'R&D');
    assert.equal(headers['Remote-User'], 'corp:eve');
    assert.equal(headers['X-Name'], '<${email}>');
  });

  test('carry only the configured groups, as names or DNs, joined by the separator', () => {
    assert.equal(render({ groups: ['app-*', 'STAFF'], separator: '; ' })['Remote-Groups'], 'staff; app-wiki');
    assert.equal(
      render({ groups: ['staff'], groupNames: 'dn' })['Remote-Groups'],
      'cn=staff,dc=example,dc=test',
    );
  });

  test('leave out a list that does not fit, and say how long it was', () => {
    const mega = principalOf({
      groups: Array.from({ length: 2_000 }, (_, i) => table.intern(`group-${String(i).padStart(34, '0')}`)),
    });
    const headers = render({}, mega);
    assert.equal(headers['Remote-Groups'], '');
    assert.equal(headers['Remote-Groups-Overflow'], '2000');
  });

  test('do not reach into prototypes', () => {
    assert.equal(render({ set: { 'X-P': '${attributes.constructor}' } })['X-P'], '');
  });
});

describe('what a client may not say', () => {
  const strip = new HeaderStrip(
    ['Remote-User', 'X-Auth-Request-Email'],
    ['connection', 'transfer-encoding', 'host', 'cookie', 'authorization'],
  );
  const rows: [name: string, fate: 'keep' | 'drop' | 'alias'][] = [
    ['Remote-User', 'drop'],
    ['REMOTE-USER', 'drop'],
    ['Remote_User', 'alias'],
    ['remote.user', 'alias'],
    ['Remote~User', 'alias'],
    ['X_Auth_Request-Email', 'alias'],
    ['X-Forwarded-For', 'drop'],
    ['X_Forwarded_For', 'alias'],
    ['X-Original-URL', 'drop'],
    ['X-Rewrite-URL', 'drop'],
    ['Forwarded', 'drop'],
    ['X-HTTP-Method-Override', 'drop'],
    ['Authorization', 'drop'],
    ['Connection', 'drop'],
    ['transfer_encoding', 'alias'],
    ['Content_Length', 'alias'],
    ['Content-Length', 'keep'],
    ['Accept', 'keep'],
    ['X-Requested-With', 'keep'],
    ['Remote-Users', 'keep'],
    ['__proto__', 'keep'],
  ];
  for (const [name, fate] of rows) test(`${name}: ${fate}`, () => assert.equal(strip.fate(name), fate));

  test('stays within its bounds whatever names come', () => {
    for (let i = 0; i < 5_000; i++) assert.equal(strip.fate(`X-Name-${i}`), 'keep');
    assert.equal(strip.fate('remote_user'), 'alias');
  });
});

describe('groups of the assertion', () => {
  const groupsOf = (options: object) => assertedGroups(headersOptions.parse(options))(ivan);

  test('are the ones the headers carry, as items and not as encoded text', () => {
    assert.deepEqual(groupsOf({ encoding: 'percent' }), {
      groups: ['staff', 'a,b', 'app-wiki'],
      groupsOverflow: undefined,
    });
    assert.deepEqual(groupsOf({ groups: ['app-*'] }).groups, ['app-wiki']);
    assert.deepEqual(groupsOf({ groupNames: 'dn' }).groups?.[0], 'cn=staff,dc=example,dc=test');
  });

  test('are a number under the same limit as in the headers, never a part of the list', () => {
    const many = principalOf({
      groups: Array.from({ length: 20 }, (_, i) => table.intern(`group-${i}`)),
    });
    const options = headersOptions.parse({ maxListBytes: '64B' });
    assert.deepEqual(assertedGroups(options)(many), { groups: undefined, groupsOverflow: 20 });
    assert.equal(render({ maxListBytes: '64B' }, many)['Remote-Groups-Overflow'], '20');
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { kerberosProviderOptions, realmMappings } from '#src/providers/kerberos/options.ts';
import { canCollide, mapPrincipal, type RealmMapping } from '#src/providers/kerberos/principal-name.ts';

const corp: RealmMapping = { realm: 'CORP.EXAMPLE', username: '${user}', lowerCase: false };
const partner: RealmMapping = {
  realm: 'PARTNER.EXAMPLE',
  username: '${user}@${realm}',
  lowerCase: true,
};

describe('a principal becomes an account name', () => {
  const rows: readonly (readonly [principal: string, username: string])[] = [
    ['alice@CORP.EXAMPLE', 'alice'],
    ['Alice@CORP.EXAMPLE', 'Alice'],
    ['Alice@PARTNER.EXAMPLE', 'alice@partner.example'],
    ['иван@CORP.EXAMPLE', 'иван'],
    ['mary ann@CORP.EXAMPLE', 'mary ann'],
    ['$1${realm}@CORP.EXAMPLE', '$1${realm}'],
    ['MACHINE$@CORP.EXAMPLE', 'MACHINE$'],
  ];
  for (const [principal, username] of rows) {
    test(`${principal}: ${username}`, () => {
      assert.deepEqual(mapPrincipal(principal, [corp, partner]), { kind: 'mapped', principal, username });
    });
  }
});

describe('a principal belongs to nobody', () => {
  const rows: readonly (readonly [name: string, principal: string, reason: string])[] = [
    ['without a realm', 'alice', 'principal-malformed'],
    ['with an empty realm', 'alice@', 'principal-malformed'],
    ['without a name', '@CORP.EXAMPLE', 'principal-malformed'],
    ['in a role', 'alice/admin@CORP.EXAMPLE', 'principal-malformed'],
    ['as a service', 'HTTP/gw.localhost@CORP.EXAMPLE', 'principal-malformed'],
    ['anonymous', 'WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS', 'principal-malformed'],
    ['with an escaped @, which could name another realm', 'alice\\@CORP.EXAMPLE@EVIL', 'principal-malformed'],
    ['with an enterprise name', 'alice\\@corp.example@CORP.EXAMPLE', 'principal-malformed'],
    ['with an @ that is not escaped', 'alice@corp.example@CORP.EXAMPLE', 'principal-malformed'],
    ['with a line break', 'alice\n@CORP.EXAMPLE', 'principal-malformed'],
    ['with a zero byte', 'alice\0@CORP.EXAMPLE', 'principal-malformed'],
    ['with an invisible character', 'ali\u200bce@CORP.EXAMPLE', 'principal-malformed'],
    ['with bytes that are no text', 'ali\ufffdce@CORP.EXAMPLE', 'principal-malformed'],
    ['with half a character', 'ali\ud800ce@CORP.EXAMPLE', 'principal-malformed'],
    ['with a blank around it', ' alice@CORP.EXAMPLE', 'principal-malformed'],
    ['with wide letters that a directory would fold', 'ａlice@CORP.EXAMPLE', 'principal-malformed'],
    ['with an accent that is not composed', 'andre\u0301@CORP.EXAMPLE', 'principal-malformed'],
    ['that never ends', `${'a'.repeat(300)}@CORP.EXAMPLE`, 'principal-malformed'],
    ['of another realm', 'alice@EVIL.EXAMPLE', 'realm-not-allowed'],
    ['of a realm in other letters', 'alice@corp.example', 'realm-not-allowed'],
    ['of a realm that only begins alike', 'alice@CORP.EXAMPLE.EVIL', 'realm-not-allowed'],
  ];
  for (const [name, principal, reason] of rows) {
    test(name, () => {
      assert.deepEqual(mapPrincipal(principal, [corp, partner]), { kind: 'rejected', reason });
    });
  }
});

describe('account names of two realms', () => {
  const rows: readonly (readonly [one: string, other: string, collide: boolean])[] = [
    ['${user}', '${user}', true],
    ['${user}', '${user}@${realm}', false],
    ['${user}@${realm}', '${user}@${realm}', false],
    ['${user}@a', '${user}@b', false],
    ['${user}', '${user}-x', true],
    ['a-${user}', '${user}-b', true],
    ['CORP\\${user}', '${user}', false],
    ['${realm}-${user}', '${user}', true],
  ];
  for (const [one, other, collide] of rows) {
    test(`${one} and ${other} ${collide ? 'collide' : 'are different'}`, () => {
      const mappings = [
        { realm: 'ONE', username: one, lowerCase: false },
        { realm: 'TWO', username: other, lowerCase: false },
      ] as const;
      assert.equal(canCollide(...mappings), collide);
      assert.equal(canCollide(mappings[1], mappings[0]), collide);
    });
  }

  test('never meet where the configuration allows both', () => {
    const template = fc
      .tuple(
        fc.constantFrom('', 'x', 'X', 'x\\', 'one-'),
        fc.constantFrom('', '@${realm}', '-x', '@X', '@x', '.${realm}'),
      )
      .map(([before, after]) => `${before}\${user}${after}`);
    const name = fc.stringMatching(/^[a-zA-Z.-]{1,8}$/);
    const mapping = (realm: string) =>
      fc.record({ realm: fc.constant(realm), username: template, lowerCase: fc.boolean() });
    fc.assert(
      fc.property(mapping('ONE'), mapping('TWO'), name, name, (one, two, first, second) => {
        if (canCollide(one, two)) return;
        const mapped = mapPrincipal(`${first}@ONE`, [one, two]);
        const rival = mapPrincipal(`${second}@TWO`, [one, two]);
        assert.ok(mapped.kind === 'mapped' && rival.kind === 'mapped');
        assert.notEqual(mapped.username, rival.username);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('the options', () => {
  const parse = (more: object) =>
    kerberosProviderOptions.safeParse({
      name: 'sso',
      type: 'kerberos',
      keytab: '/k',
      realms: ['A.EXAMPLE'],
      ...more,
    });
  const messages = (more: object): readonly string[] =>
    parse(more).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

  test('have defaults that isolate and remember', () => {
    const { data } = parse({});
    assert.ok(data !== undefined);
    const { isolation, replay, strictSpn, maxTokenLength, username, lowerCase } = data;
    assert.deepEqual(
      { isolation, replay, strictSpn, maxTokenLength, username, lowerCase },
      {
        isolation: 'helper',
        replay: 'on',
        strictSpn: true,
        maxTokenLength: 90_000,
        username: '${user}',
        lowerCase: false,
      },
    );
  });

  test('give every realm its own template where it has one', () => {
    const { data } = parse({
      lowerCase: true,
      realms: ['A.EXAMPLE', { name: 'B.EXAMPLE', username: '${user}@${realm}', lowerCase: false }],
    });
    assert.deepEqual(data && realmMappings(data), [
      { realm: 'A.EXAMPLE', username: '${user}', lowerCase: true },
      { realm: 'B.EXAMPLE', username: '${user}@${realm}', lowerCase: false },
    ]);
  });

  const refusals: readonly (readonly [name: string, more: object, message: RegExp])[] = [
    ['no realm', { realms: [] }, /realms/],
    ['a realm with a blank', { realms: ['A B'] }, /realms/],
    [
      'two realms with the same account names',
      { realms: ['A', 'B'] },
      /realms\.1: gives people the same account names as A/,
    ],
    ['a realm twice', { username: '${user}@${realm}', realms: ['A', 'A'] }, /realms\.1: is listed already/],
    ['a template without the name', { username: 'guest' }, /username: must contain \$\{user\} once/],
    [
      'a template with another placeholder',
      { username: '${user}${host}' },
      /username: the only placeholders/,
    ],
    ['a service that is no host', { principals: ['HTTP'] }, /principals/],
    ['a token longer than any head of a request', { maxTokenLength: 100_000 }, /maxTokenLength/],
  ];
  for (const [name, more, message] of refusals) {
    test(`refuse ${name}`, () => {
      assert.match(messages(more).join('\n'), message);
    });
  }
});

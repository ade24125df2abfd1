import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allOf, anyOf, compileFilter, type EncodedFilter, equals } from '#src/directory/filter.ts';
import { type DecodedFilter, decodeFilter, showFilter } from './decode-filter.ts';

const decode = (filter: EncodedFilter): string => showFilter(decodeFilter(filter));

const values = { USERNAME: 'alice', DN: 'uid=alice,dc=x' };

const filters: readonly { text: string; expect: string }[] = [
  { text: '(uid=%USERNAME%)', expect: '(uid = alice)' },
  { text: '(member=%DN%)', expect: '(member = uid=alice,dc=x)' },
  { text: '(&(cn=x)(uid=%USERNAME%))', expect: '(&(cn = x)(uid = alice))' },
  { text: '(|(uid=%USERNAME%)(mail=%USERNAME%@x))', expect: '(|(uid = alice)(mail = alice@x))' },
  { text: '(!(uid=%USERNAME%))', expect: '(!(uid = alice))' },
  { text: '(mail=*)', expect: '(mail present)' },
  { text: '(cn=a*b*c)', expect: '(cn substrings ^a *b $c)' },
  { text: '(cn=a*)', expect: '(cn substrings ^a)' },
  { text: '(cn=*c)', expect: '(cn substrings $c)' },
  { text: '(cn=*%USERNAME%*)', expect: '(cn substrings *alice)' },
  { text: '(age>=18)', expect: '(age >= 18)' },
  { text: '(age<=18)', expect: '(age <= 18)' },
  { text: '(cn~=Jon)', expect: '(cn ~= Jon)' },
  { text: '(cn:caseExactMatch:=Fred)', expect: '(cn :caseExactMatch:= Fred)' },
  { text: '(cn:1.2.840.113556.1.4.1941:=%DN%)', expect: '(cn :1.2.840.113556.1.4.1941:= uid=alice,dc=x)' },
  { text: '(ou:dn:=Research)', expect: '(ou :dn::= Research)' },
  { text: '(:dn:2.4.6.8.10:=Dino)', expect: '( :dn:2.4.6.8.10:= Dino)' },
  // RFC 4515 section 4.
  { text: '(o=Parens R Us \\28for all\\29)', expect: '(o = Parens R Us (for all))' },
  { text: '(cn=*\\2A*)', expect: '(cn substrings **)' },
  { text: '(sn=Lu\\c4\\8di\\c4\\87)', expect: '(sn = Lučić)' },
  { text: '(cn=Пётр)', expect: '(cn = Пётр)' },
  { text: '(cn=)', expect: '(cn = )' },
  { text: '(2.5.4.3=x)', expect: '(2.5.4.3 = x)' },
  { text: '(cn;lang-de=x)', expect: '(cn;lang-de = x)' },
];

for (const { text, expect } of filters) {
  test(`filter ${text} is ${expect}`, () => {
    assert.equal(decode(compileFilter(text).encode(values)), expect);
  });
}

const mistakes = [
  ['', 1],
  ['uid=%USERNAME%', 1],
  ['(uid=%USERNAME%', 16],
  ['(uid=%USERNAME%))', 17],
  ['(&)', 3],
  ['(&(a=b)', 8],
  ['(!(a=b)(c=d))', 8],
  ['(=x)', 2],
  ['(uid)', 2],
  ['(u id=x)', 2],
  ['(uid=a(b)', 7],
  ['(uid=\\4)', 6],
  ['(uid=\\zz)', 6],
  ['(uid=%USER%)', 6],
  ['(uid=50%)', 8],
  ['(cn=a**b)', 9],
  ['(age>=1*)', 9],
  [`${'(!'.repeat(80)}(a=b)${')'.repeat(80)}`, 131],
  ['(uid=\0)', 6],
] as const;

for (const [text, at] of mistakes) {
  test(`filter ${JSON.stringify(text.slice(0, 30))} is refused at character ${at}`, () => {
    assert.throws(() => compileFilter(text), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`^filter, character ${at}: `),
    });
  });
}

test('whatever is inserted stays one value: it never changes the filter around it', () => {
  const template = compileFilter('(&(objectClass=person)(|(uid=%USERNAME%)(cn=*%USERNAME%*))(member=%DN%))');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ minLength: 1 }), (username, dn) => {
      const sent = (text: string) => Buffer.from(text).toString();
      const expected: DecodedFilter = {
        op: '&',
        filters: [
          { op: '=', attribute: 'objectClass', values: ['person'] },
          {
            op: '|',
            filters: [
              { op: '=', attribute: 'uid', values: [sent(username)] },
              { op: 'substrings', attribute: 'cn', values: [`*${sent(username)}`] },
            ],
          },
          { op: '=', attribute: 'member', values: [sent(dn)] },
        ],
      };
      assert.deepEqual(decodeFilter(template.encode({ USERNAME: username, DN: dn })), expected);
    }),
  );
});

test('values of every length are encoded with the right length', () => {
  for (const length of [1, 127, 128, 255, 256, 65_535, 65_536]) {
    assert.deepEqual(decodeFilter(equals('cn', 'x'.repeat(length))), {
      op: '=',
      attribute: 'cn',
      values: ['x'.repeat(length)],
    });
  }
});

test('filters are joined', () => {
  assert.equal(decode(allOf([equals('a', '1'), equals('b', '2')])), '(&(a = 1)(b = 2))');
  assert.equal(decode(anyOf([equals('a', '1'), equals('b', '2')])), '(|(a = 1)(b = 2))');
});

test('for any name: what compares with the name only asks for presence, the rest stays', () => {
  const template = compileFilter(
    '(&(objectClass=person)(|(uid=%USERNAME%)(mail=%USERNAME%@x))(!(shadow=1)))',
  );
  assert.equal(
    decode(template.forAnyName.encode({})),
    '(&(objectClass = person)(|(uid present)(mail present))(!(shadow = 1)))',
  );
});

test('for any name: what compares with a DN only asks for presence too', () => {
  const template = compileFilter('(&(objectClass=groupOfNames)(member=%DN%))');
  assert.equal(decode(template.forAnyName.encode({})), '(&(objectClass = groupOfNames)(member present))');
});

for (const [text, rest, negated] of [
  ['(&(uid=a)(!(lock=TRUE)))', '(&(uid = a))', ['lock']],
  ['(&(uid=a)(|(!(b=1))(&(!(c=*))(!(b=2)))))', '(&(uid = a))', ['b', 'c']],
  ['(!(|(b=1)(c=2)))', '(objectClass present)', ['b', 'c']],
  ['(|(uid=a)(uid=b))', '(|(uid = a)(uid = b))', []],
] as const) {
  test(`${text} without what it negates`, () => {
    const template = compileFilter(text);
    assert.equal(decode(template.withoutNegations.encode({})), rest);
    assert.deepEqual(template.negatedAttributes, negated);
  });
}

const addressed: readonly { text: string; expect: string | undefined }[] = [
  { text: '(uid=%USERNAME%)', expect: '(uid = alice)' },
  { text: '(|(uid=%USERNAME%)(mail=%ADDRESS%))', expect: '(uid = alice)' },
  {
    text: '(&(objectClass=x)(|(uid=%USERNAME%)(cn=%USERNAME%)(mail=%ADDRESS%)))',
    expect: '(&(objectClass = x)(|(uid = alice)(cn = alice)))',
  },
  { text: '(|(uid=%USERNAME%)(&(cn=x)(mail=%ADDRESS%)))', expect: '(uid = alice)' },
  { text: '(&(uid=%USERNAME%)(!(mail=%ADDRESS%)))', expect: '(&(uid = alice)(objectClass present))' },
  { text: '(mail=%ADDRESS%)', expect: undefined },
  { text: '(mail=*%ADDRESS%)', expect: undefined },
  { text: '(|(mail=%ADDRESS%)(&(uid=%USERNAME%)(cn=%ADDRESS%)))', expect: undefined },
];
for (const { text, expect } of addressed) {
  test(`${text} for a name without a suffix ${expect === undefined ? 'matches nobody' : `is ${expect}`}`, () => {
    const rest = compileFilter(text).withoutAddress;
    assert.equal(rest === undefined ? undefined : decode(rest.encode(values)), expect);
  });
}

test('an address is inserted as it is, and no presence of one is asked for', () => {
  const filter = compileFilter('(|(uid=%USERNAME%)(mail=%ADDRESS%))');
  const both = { USERNAME: 'alice', ADDRESS: 'alice@x)(uid=*' };
  assert.equal(decode(filter.encode(both)), '(|(uid = alice)(mail = alice@x)(uid=*))');
  assert.equal(decode(filter.forAnyName.encode({})), '(uid present)');
  assert.equal(decode(compileFilter('(mail=%ADDRESS%)').forAnyName.encode({})), '(mail present)');
});

test('a missing value is a mistake of the program, not an empty one', () => {
  assert.throws(() => compileFilter('(uid=%USERNAME%)').encode({ DN: 'x' }), TypeError);
});

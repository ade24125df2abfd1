import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LdapFailure } from '#src/directory/failures.ts';
import { responseTags } from '#src/directory/responses.ts';
import { ber, message } from '#test/servers/scripted-ldap-server.ts';
import { decodeResponses } from './decode-responses.ts';

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const nothing = { diagnostic: '', policyError: undefined, graceSignInsLeft: undefined, name: undefined };
const ok = { resultCode: 0, ...nothing };

/** Recorded from servers, except where the name says otherwise. */
const vectors: readonly { name: string; hex: string; expect: unknown }[] = [
  {
    name: 'an entry of OpenLDAP',
    hex: `3081e10201076481db04287569643d753030303030312c6f753d70656f706c652c64633d6578616d706c652c64633d74657374
      3081ae301004037569643109040775303030303031300e0402736e3108040630303030303130150409676976656e4e616d65310804
      06506572736f6e301e040b646973706c61794e616d65310f040d506572736f6e20303030303031301e04046d61696c311604147530
      3030303031406578616d706c652e7465737430330409656e747279555549443126042435353462333630302d376134302d31303431
      2d396264662d333763396439396139623764`,
    expect: {
      dn: 'uid=u000001,ou=people,dc=example,dc=test',
      uid: 'u000001',
      sn: '000001',
      givenName: 'Person',
      displayName: 'Person 000001',
      mail: 'u000001@example.test',
      entryUUID: '554b3600-7a40-1041-9bdf-37c9d99a9b7d',
    },
  },
  { name: 'the end of a search in OpenLDAP', hex: '300c02010765070a010004000400', expect: ok },
  {
    name: 'a bind in OpenLDAP with an empty answer of its password policy',
    hex: `302f02010861070a010004000400 a021301f0419312e332e362e312e342e312e34322e322e32372e382e352e3104023000`,
    expect: ok,
  },
  {
    name: 'a bind in Active Directory, every length in four bytes',
    hex: '3084000000100201016184000000070a010004000400',
    expect: ok,
  },
  {
    name: 'a refused bind with the words of the server, by hand',
    hex: '301002010161 0b 0a0131 0400 0404 6c6f636b',
    expect: { ...ok, resultCode: 49, diagnostic: 'lock' },
  },
  {
    name: 'a locked account by the password policy, by hand',
    hex: `3032 020108 61070a013104000400 a024302204 19312e332e362e312e342e312e34322e322e32372e382e352e31 0405 3003 810101`,
    expect: { ...ok, resultCode: 49, policyError: 1 },
  },
  {
    name: 'two sign-ins left, which is not error 2, by hand',
    hex: `3034 020108 61070a010004000400 a026302404 19312e332e362e312e342e312e34322e322e32372e382e352e31 0407 3005 a003 810102`,
    expect: { ...ok, graceSignInsLeft: 2 },
  },
  {
    name: 'a warning in seconds and an error, the criticality of the control said, by hand',
    hex: `303a 020108 61070a010004000400 a02c302a04 19312e332e362e312e342e312e34322e322e32372e382e352e31 010100 040a 3008 a003 80010a 810102`,
    expect: { ...ok, policyError: 2 },
  },
  {
    name: 'another control, and the password policy without a value, by hand',
    hex: `3034 020108 61070a010004000400 a0263007 0403312e32 0400 301b 0419312e332e362e312e342e312e34322e322e32372e382e352e31`,
    expect: ok,
  },
  {
    name: 'a notice of disconnection, by hand',
    hex: `3024 020100 781f 0a0134 0400 0400 8a16312e332e362e312e342e312e313436362e3230303336`,
    expect: { ...ok, resultCode: 52, name: '1.3.6.1.4.1.1466.20036' },
  },
  {
    name: 'a referral, credentials of the server and elements nobody knows yet, by hand',
    hex: '301e 020101 6112 0a010a 0400 0400 a303040178 870179 9e017a a000 8c00 8d0178',
    expect: { ...ok, resultCode: 10 },
  },
  {
    name: 'a result code of two bytes, a message id of four, by hand',
    hex: '3010 02047fffffff 6508 0a021000 0400 0400',
    expect: { ...ok, resultCode: 4_096 },
  },
];

describe('the reader of responses', () => {
  for (const { name, hex, expect } of vectors) {
    test(`reads ${name}`, () => {
      assert.deepEqual(
        decodeResponses(bytesOf(hex)).map(({ value }) => value),
        [expect],
      );
    });
  }

  test('takes no part of an entry or of a result for the whole', () => {
    for (const { hex } of vectors.slice(0, 2)) {
      const bytes = bytesOf(hex);
      const content = bytes.subarray(bytes[1] === 0x81 ? 3 : 2);
      // The outermost length is right each time, so that what is missing only shows inside.
      for (let length = 0; length < content.length; length++) {
        assert.throws(() => decodeResponses(ber(0x30, content.subarray(0, length))), isProtocolFailure);
      }
    }
  });

  const entry = (...attributes: Buffer[]): Buffer =>
    message(1, ber(0x64, ber(0x04, 'uid=anna'), ber(0x30, ...attributes)));
  const attribute = (name: string, ...values: (string | Buffer)[]): Buffer =>
    ber(0x30, ber(0x04, name), ber(0x31, ...values.map((value) => ber(0x04, value))));

  const values: readonly { name: string; bytes: Buffer; expect: Record<string, unknown> }[] = [
    { name: 'no value', bytes: entry(attribute('cn')), expect: { cn: [] } },
    { name: 'an empty value', bytes: entry(attribute('cn', '')), expect: { cn: '' } },
    { name: 'several values', bytes: entry(attribute('cn', 'a', 'юлия')), expect: { cn: ['a', 'юлия'] } },
    {
      name: 'bytes that are no text',
      bytes: entry(attribute('id', Buffer.from([0xff, 0]))),
      expect: { id: Buffer.from([0xff, 0]) },
    },
    {
      name: 'text beside bytes that are none, as bytes',
      bytes: entry(attribute('id', 'ab', Buffer.from([0xc0, 0x80]))),
      expect: { id: [Buffer.from('ab'), Buffer.from([0xc0, 0x80])] },
    },
    {
      name: 'bytes that begin like a byte order mark, all of them',
      bytes: entry(attribute('id', Buffer.from('efbbbf41', 'hex'))),
      expect: { id: '\ufeffA' },
    },
    {
      name: 'a certificate, which is bytes also where it is text',
      bytes: entry(attribute('userCertificate;binary', 'abc')),
      expect: { 'userCertificate;binary': Buffer.from('abc') },
    },
    {
      name: 'an attribute in pieces under its own name',
      bytes: entry(attribute('member;range=0-1', 'a', 'b')),
      expect: { 'member;range=0-1': ['a', 'b'] },
    },
    {
      name: 'names that objects have anyway',
      bytes: entry(attribute('constructor', 'x'), attribute('toString', 'y')),
      expect: { constructor: 'x', toString: 'y' },
    },
    {
      name: 'no attribute that would pass for the name of the entry or for its prototype',
      bytes: entry(attribute('dn', 'uid=root'), attribute('__proto__', 'x', 'y'), attribute('cn', 'a')),
      expect: { cn: 'a' },
    },
  ];

  for (const { name, bytes, expect } of values) {
    test(`gives ${name}`, () => {
      const [decoded] = decodeResponses(bytes);
      assert.deepStrictEqual(decoded?.value, { dn: 'uid=anna', ...expect });
      assert.equal(Object.getPrototypeOf(decoded.value), Object.prototype);
    });
  }

  const policy = (value: Buffer): Buffer =>
    ber(0x30, ber(0x04, '1.3.6.1.4.1.42.2.27.8.5.1'), ber(0x04, value));
  const bindWith = (...controls: Buffer[]): Buffer =>
    message(1, ber(0x61, ber(0x0a, 0), ber(0x04), ber(0x04)), ber(0xa0, ...controls));

  const refused: readonly { name: string; bytes: Buffer }[] = [
    { name: 'an empty message', bytes: ber(0x30) },
    { name: 'a message without operation', bytes: message(1) },
    { name: 'an empty response', bytes: message(1, ber(0x61)) },
    {
      name: 'a negative message id',
      bytes: ber(0x30, ber(0x02, 0xff), ber(0x61, ber(0x0a, 0), ber(0x04), ber(0x04))),
    },
    {
      name: 'a message id of no bytes',
      bytes: ber(0x30, ber(0x02), ber(0x61, ber(0x0a, 0), ber(0x04), ber(0x04))),
    },
    {
      name: 'a message id of five bytes',
      bytes: ber(0x30, ber(0x02, 0, 0, 0, 0, 1), ber(0x61, ber(0x0a, 0), ber(0x04), ber(0x04))),
    },
    {
      name: 'a result code that is a plain number',
      bytes: message(1, ber(0x61, ber(0x02, 0), ber(0x04), ber(0x04))),
    },
    { name: 'a result code of no bytes', bytes: message(1, ber(0x61, ber(0x0a), ber(0x04), ber(0x04))) },
    { name: 'a negative result code', bytes: message(1, ber(0x61, ber(0x0a, 0x80), ber(0x04), ber(0x04))) },
    {
      name: 'a result without the last of its fields',
      bytes: message(1, ber(0x61, ber(0x0a, 0), ber(0x04))),
    },
    {
      name: 'a result in pieces',
      bytes: message(1, ber(0x61, ber(0x0a, 0), ber(0x24, ber(0x04)), ber(0x04))),
    },
    {
      name: 'a tag of several bytes',
      bytes: message(1, ber(0x61, ber(0x0a, 0), ber(0x04), ber(0x04), ber(0x9f, 1))),
    },
    {
      name: 'the end of another element',
      bytes: message(1, ber(0x61, ber(0x0a, 0), ber(0x04), Buffer.from([4, 1]))),
    },
    {
      name: 'a length without end inside',
      bytes: message(1, ber(0x61, ber(0x0a, 0), Buffer.from([4, 0x80, 0, 0]), ber(0x04))),
    },
    {
      name: 'a name of an entry that is not UTF-8',
      bytes: message(1, ber(0x64, ber(0x04, Buffer.from([0xff])), ber(0x30))),
    },
    { name: 'an entry without a list of attributes', bytes: message(1, ber(0x64, ber(0x04, 'uid=anna'))) },
    { name: 'an attribute without values', bytes: entry(ber(0x30, ber(0x04, 'cn'))) },
    {
      name: 'a list of values that is no set',
      bytes: entry(ber(0x30, ber(0x04, 'cn'), ber(0x30, ber(0x04, 'a')))),
    },
    { name: 'a value that is a number', bytes: entry(ber(0x30, ber(0x04, 'cn'), ber(0x31, ber(0x02, 1)))) },
    {
      name: 'a value that reaches into the next attribute',
      bytes: entry(ber(0x30, ber(0x04, 'cn'), ber(0x31, Buffer.from('0403', 'hex'))), attribute('x', 'y')),
    },
    { name: 'an attribute twice', bytes: entry(attribute('cn', 'a'), attribute('cn', 'b')) },
    {
      name: 'a password policy that answers twice',
      bytes: bindWith(policy(ber(0x30)), policy(ber(0x30, ber(0x81, 1)))),
    },
    { name: 'a password policy that is no sequence', bytes: bindWith(policy(ber(0x31))) },
    {
      name: 'a password policy with more behind it',
      bytes: bindWith(policy(Buffer.concat([ber(0x30), ber(0x30)]))),
    },
    { name: 'a password policy with an error of no bytes', bytes: bindWith(policy(ber(0x30, ber(0x81)))) },
    { name: 'a control that is no sequence', bytes: bindWith(ber(0x04, 'x')) },
  ];

  for (const { name, bytes } of refused) {
    test(`refuses ${name}`, () => {
      assert.throws(() => decodeResponses(bytes), isProtocolFailure);
    });
  }

  const anyName = fc
    .stringMatching(/^[a-z][a-zA-Z0-9-]{0,12}(;x-[a-z]{1,3})?$/)
    .filter((name) => name !== 'dn');
  const anyValue = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  );
  const anyEntry = fc.record({
    dn: fc.string({ unit: 'grapheme' }),
    attributes: fc.dictionary(anyName, fc.array(anyValue, { maxLength: 4 }), {
      maxKeys: 6,
      noNullPrototype: true,
    }),
  });

  const toMessage = ({
    dn,
    attributes,
  }: {
    dn: string;
    attributes: Record<string, (string | Buffer)[]>;
  }): Buffer =>
    message(
      7,
      ber(
        0x64,
        ber(0x04, dn),
        ber(0x30, ...Object.entries(attributes).map(([name, list]) => attribute(name, ...list))),
      ),
    );

  test('gives back every entry that was put in, byte for byte', () => {
    fc.assert(
      fc.property(anyEntry, (sent) => {
        const [decoded] = decodeResponses(toMessage(sent));
        assert.ok(decoded !== undefined);
        const { dn, ...attributes } = decoded.value as Record<string, string | Buffer | (string | Buffer)[]>;
        assert.equal(dn, sent.dn);
        const hex = (list: string | Buffer | (string | Buffer)[]) =>
          [list].flat().map((value) => Buffer.from(value as string).toString('hex'));
        const inHex = (entries: Record<string, string | Buffer | (string | Buffer)[]>) =>
          Object.fromEntries(Object.entries(entries).map(([name, list]) => [name, hex(list)]));
        assert.deepEqual(inHex(attributes), inHex(sent.attributes));
      }),
    );
  });

  test('confuses no names of attributes, of whatever entries came before', () => {
    const names = [
      ...Array.from({ length: 2_000 }, (_, n) => `a${(n * 7_919).toString(36)}`),
      'x'.repeat(64),
      'x'.repeat(65),
      'é',
      'Ã©',
      '',
    ];
    const entries = names.map((name) => entry(attribute(name, name), attribute(`${name}-2`, name)));
    const decoded = decodeResponses(...entries, ...entries.toReversed()).map(({ value }) => value);
    const expected = names.map((name) => ({ dn: 'uid=anna', [name]: name, [`${name}-2`]: name }));
    assert.deepEqual(decoded, [...expected, ...expected.toReversed()]);
  });

  test('gives the same for any cut, and for bytes changed at will an answer or a failure, never anything else', () => {
    const valid = fc.oneof(
      fc.constantFrom(...vectors.map(({ hex }) => bytesOf(hex))),
      anyEntry.map(toMessage),
    );
    const change = fc.record({
      at: fc.nat(),
      kind: fc.constantFrom('set', 'insert', 'remove', 'truncate'),
      byte: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(valid, fc.array(change, { maxLength: 4 }), fc.nat(), (bytes, changes, place) => {
        let harmed = Buffer.from(bytes);
        for (const { at, kind, byte } of changes) {
          const where = at % (harmed.length + 1);
          const head = harmed.subarray(0, where);
          const middle = kind === 'set' || kind === 'insert' ? [byte] : [];
          const rest = harmed.subarray(kind === 'set' || kind === 'remove' ? where + 1 : where);
          harmed = Buffer.concat([head, Buffer.from(middle), kind === 'truncate' ? Buffer.alloc(0) : rest]);
        }
        const where = place % (harmed.length + 1);
        const whole = outcome(harmed);
        assert.deepEqual(outcome(harmed.subarray(0, where), harmed.subarray(where)), whole);
        if (changes.length === 0) assert.ok(typeof whole !== 'string');
      }),
      { numRuns: 2_000 },
    );
  });

  test('reads ten thousand elements inside one another without descending into them', () => {
    const depth = 10_000;
    const nested = Buffer.alloc(depth * 4);
    for (let level = 0; level < depth; level++) {
      nested.set([0xa5, 0x82], level * 4);
      nested.writeUInt16BE(nested.length - (level + 1) * 4, level * 4 + 2);
    }
    const bytes = message(1, ber(0x61, ber(0x0a, 0), ber(0x04), ber(0x04), nested));
    assert.deepEqual(decodeResponses(bytes)[0]?.value, ok);
  });
});

test('the tags of responses are those of RFC 4511', () => {
  assert.deepEqual(responseTags, {
    bind: 0x60 + 1,
    searchEntry: 0x60 + 4,
    searchDone: 0x60 + 5,
    modify: 0x60 + 7,
    searchReference: 0x60 + 19,
    extended: 0x60 + 24,
  });
});

function isProtocolFailure(error: unknown): boolean {
  return error instanceof LdapFailure && error.kind === 'protocol';
}

/** What was read, or the message of the failure; everything else is thrown on. */
function outcome(...chunks: Buffer[]): unknown {
  try {
    return decodeResponses(...chunks);
  } catch (error) {
    if (isProtocolFailure(error)) return (error as Error).message;
    throw error;
  }
}

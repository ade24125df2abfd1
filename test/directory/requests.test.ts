import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BerReader, element, integer, octets, tags } from '#src/directory/ber.ts';
import { equals, isPresent } from '#src/directory/filter.ts';
import { encodePasswordModify, encodeUnicodePassword } from '#src/directory/password-encoding.ts';
import {
  encodeBind,
  encodeExternalBind,
  encodePasswordChange,
  encodeSearch,
  encodeStartTls,
  encodeUnbind,
} from '#src/directory/requests.ts';
import { Secret } from '#src/lib/secret.ts';

const policy = 'a01d301b0419312e332e362e312e342e312e34322e322e32372e382e352e31';
const passwords = { old: new Secret('old'), new: new Secret('new') };

/** Written by hand from RFC 4511; slapd, 389-ds and Samba take the same bytes in the other tests. */
const vectors: readonly { name: string; bytes: Buffer; hex: string }[] = [
  {
    name: 'a search',
    bytes: encodeSearch(
      7,
      { baseDn: 'dc=x', scope: 'sub', filter: equals('uid', 'a'), attributes: ['cn', '1.1'], sizeLimit: 2 },
      3,
    ),
    hex: '302f020107 632a 0404 64633d78 0a0102 0a0100 020102 020103 010100 a308 0403756964 040161 3009 0402636e 0403312e31',
  },
  {
    name: 'a search of one entry for no attribute in particular',
    bytes: encodeSearch(
      200,
      { baseDn: '', scope: 'base', filter: isPresent('cn'), attributes: [], sizeLimit: 0 },
      300,
    ),
    hex: '301e 020200c8 6318 0400 0a0100 0a0100 020100 0202012c 010100 8702636e 3000',
  },
  {
    name: 'a bind',
    bytes: encodeBind(1, 'cn=я', new Secret('p')),
    hex: `3031020101 600d 020103 0405 636e3dd18f 800170 ${policy}`,
  },
  {
    name: 'a bind as whom the certificate says',
    bytes: encodeExternalBind(1),
    hex: '3018020101 6013 020103 0400 a30c 0408 45585445524e414c 0400',
  },
  {
    name: 'a change of a password by its own operation',
    bytes: encodePasswordChange(2, encodePasswordModify(passwords)),
    hex: `304b020102 7727 8017 312e332e362e312e342e312e343230332e312e31312e31 810c 300a 81036f6c64 82036e6577 ${policy}`,
  },
  {
    name: 'a change of a password in Active Directory: delete the old one, add the new one',
    bytes: encodePasswordChange(3, encodeUnicodePassword('cn=a', passwords)),
    hex: `306e020103 664a 0404636e3d61 3042
      301f 0a0101 301a 040a756e69636f6465507764 310c 040a 22006f006c0064002200
      301f 0a0100 301a 040a756e69636f6465507764 310c 040a 22006e00650077002200 ${policy}`,
  },
  {
    name: 'StartTLS',
    bytes: encodeStartTls(1),
    hex: '301d02010177188016312e332e362e312e342e312e313436362e3230303337',
  },
  { name: 'a good-bye', bytes: encodeUnbind(3), hex: '30050201034200' },
];

for (const { name, bytes, hex } of vectors) {
  test(`${name} is written as RFC 4511 says`, () => {
    assert.equal(bytes.toString('hex'), hex.replaceAll(/\s/g, ''));
  });
}

test('numbers are written in as few bytes as they need, their sign among them, and read back', () => {
  for (const [value, hex] of [
    [0, '020100'],
    [127, '02017f'],
    [128, '02020080'],
    [32_767, '02027fff'],
    [32_768, '0203008000'],
    [8_388_607, '02037fffff'],
    [8_388_608, '020400800000'],
    [2 ** 31 - 1, '02047fffffff'],
  ] as const) {
    assert.equal(integer(value).toString('hex'), hex);
  }
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), (value) => {
      assert.equal(new BerReader(integer(value)).integer(), value);
    }),
  );
});

test('whatever text or bytes are written are read back, of any length', () => {
  const sizes = fc.constantFrom(0, 1, 127, 128, 255, 256, 65_535, 65_536, 100_000);
  const texts = fc
    .tuple(fc.string({ unit: 'grapheme' }), sizes)
    .map(([text, size]) => text + 'x'.repeat(size));
  fc.assert(
    fc.property(texts, fc.uint8Array(), (text, bytes) => {
      const reader = new BerReader(element(tags.sequence, octets(text), octets(Buffer.from(bytes), 0x81)));
      const outer = reader.enter(tags.sequence);
      assert.equal(reader.text(), text);
      assert.deepEqual(Buffer.from(reader.textOrBytes(0x81)), Buffer.from(bytes));
      assert.ok(reader.isAtEnd);
      reader.leave(outer);
      assert.ok(reader.isAtEnd);
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LdapEntry } from '#src/directory/entry.ts';
import { hasStableId, parseGuid, readStableId, stableIdFilter, toGuid } from '#src/directory/stable-id.ts';

// MS-DTYP section 2.3.4: the first three fields are little-endian.
const bytes = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const guid = '33221100-5544-7766-8899-aabbccddeeff';

test('objectGUID is written as Windows writes it', () => {
  assert.equal(readStableId({ dn: 'cn=x', objectGUID: bytes }, ['objectGUID']), guid);
});

test('objectGUID whose bytes happen to be UTF-8 is the same id', () => {
  const ascii = Buffer.from('0123456789abcdef');
  const asText: LdapEntry = { dn: 'cn=x', objectGUID: ascii.toString() };
  assert.equal(
    readStableId(asText, ['objectGUID']),
    readStableId({ dn: 'cn=x', objectGUID: ascii }, ['objectGUID']),
  );
});

test('every GUID is found by the bytes it was read from', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (value) => {
      const text = toGuid(Buffer.from(value)) as string;
      assert.deepEqual(parseGuid(text), Buffer.from(value));
    }),
  );
});

test('whatever is no GUID is searched for nowhere', () => {
  for (const text of ['', 'x', guid.slice(1), `${guid}0`, guid.replaceAll('-', '')]) {
    assert.equal(stableIdFilter(text, ['objectGUID']), undefined, text);
  }
  assert.equal(toGuid(bytes.subarray(1)), undefined);
});

const ipa = ['ipaUniqueID', 'nsUniqueId'];
const rows: readonly { name: string; entry: LdapEntry; expect: string; has: boolean }[] = [
  { name: 'the first', entry: { dn: 'uid=A', nsuniqueid: 'n', ipauniqueid: 'i' }, expect: 'i', has: true },
  { name: 'the second', entry: { dn: 'uid=A', ipaUniqueID: [], nsUniqueId: 'n' }, expect: 'n', has: true },
  { name: 'the DN', entry: { dn: 'uid=A', ipaUniqueID: [] }, expect: 'uid=a', has: false },
];

for (const { name, entry, expect, has } of rows) {
  test(`of several attributes, ${name} that is there`, () => {
    assert.equal(readStableId(entry, ipa), expect);
    assert.equal(hasStableId(entry, ipa), has);
  });
}

test('an id is searched for in every attribute it may have come from, a DN in none', () => {
  assert.equal(stableIdFilter('i', ipa)?.tag, 0xa1);
  assert.equal(stableIdFilter('i', ['entryUUID'])?.tag, 0xa3);
  assert.equal(stableIdFilter('uid=a', ipa), undefined);
});

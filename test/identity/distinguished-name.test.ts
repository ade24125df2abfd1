import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fillDn, normalizeDn } from '#src/identity/distinguished-name.ts';

const template = 'uid=%USERNAME%,ou=people';

/** RFC 4514 sections 2.4 and 4. */
const rows: readonly (readonly [name: string, expect: string])[] = [
  ['alice', 'uid=alice,ou=people'],
  ['alice,ou=admins', 'uid=alice\\,ou\\=admins,ou=people'],
  ['alice+cn=root1', 'uid=alice\\+cn\\=root1,ou=people'],
  ['#0405', 'uid=\\#0405,ou=people'],
  ['James "Jim" Smith, III', 'uid=James \\"Jim\\" Smith\\, III,ou=people'],
  ['back\\slash;<x>', 'uid=back\\\\slash\\;\\<x\\>,ou=people'],
  [' blank ', 'uid=\\ blank\\ ,ou=people'],
  ['a\0b', 'uid=a\\00b,ou=people'],
  ['$&$1%USERNAME%', 'uid=$&$1%USERNAME%,ou=people'],
  ['юлия', 'uid=юлия,ou=people'],
];
for (const [name, expect] of rows) {
  test(`${JSON.stringify(name)} fills a DN as ${JSON.stringify(expect)}`, () => {
    assert.equal(fillDn(template, name), expect);
  });
}

/** The number of relative names, with escapes passed over. */
function count(dn: string): number {
  let found = 1;
  for (let i = 0; i < dn.length; i++) {
    if (dn[i] === '\\') i++;
    else if (/[,;+]/.test(dn[i] as string)) found++;
  }
  return found;
}

test('no name changes the structure of the DN it fills', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const dn = fillDn(template, name);
      assert.equal(count(dn), 2);
      assert.ok(dn.startsWith('uid=') && dn.endsWith(',ou=people'));
    }),
  );
});

test('names that differ fill DNs that differ', () => {
  const name = fc.string({ unit: fc.constantFrom('a', ',', '=', '\\', '+', '#', ' ', '"', 'c') });
  fc.assert(
    fc.property(name, name, (one, other) => {
      const [first, second] = [one, other].map((each) => normalizeDn(fillDn(template, `x${each}x`)));
      assert.equal(first === second, one === other);
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAcceptablePassword, prepareName } from '#src/directory/login-name.ts';
import { Secret } from '#src/lib/secret.ts';

const names: readonly { typed: string; expect: string | undefined }[] = [
  { typed: 'alice', expect: 'alice' },
  { typed: ' Alice\u00a0', expect: 'Alice' },
  { typed: 'ａｌｉｃｅ', expect: 'alice' },
  { typed: 'zoe\u0308', expect: 'zoë' },
  { typed: 'x'.repeat(256), expect: 'x'.repeat(256) },
  { typed: 'x'.repeat(257), expect: undefined },
  { typed: 'я'.repeat(128), expect: 'я'.repeat(128) },
  { typed: 'я'.repeat(129), expect: undefined },
  // One character of three bytes that normalises to eighteen letters.
  { typed: '\ufdfa'.repeat(80), expect: undefined },
  { typed: '', expect: undefined },
  { typed: '\u3000', expect: undefined },
  { typed: 'a\tb', expect: undefined },
  { typed: 'a\u007f', expect: undefined },
  { typed: 'a\u0085', expect: undefined },
  { typed: '\udc00', expect: undefined },
];

for (const { typed, expect } of names) {
  test(`name ${JSON.stringify(typed.slice(0, 20))} (${typed.length}) is ${expect === undefined ? 'refused' : 'taken'}`, () => {
    assert.equal(prepareName(typed), expect);
  });
}

test('a prepared name is short, clean, and stays what it is when prepared again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (typed) => {
      const name = prepareName(typed);
      if (name === undefined) return;
      assert.ok(Buffer.byteLength(name) <= 256 && name !== '');
      assert.ok(!name.includes('\0'));
      assert.equal(prepareName(name), name);
    }),
  );
});

test('passwords are taken as they are, up to 1,024 bytes', () => {
  for (const password of ['x', ' ', 'a\0b', 'x'.repeat(1_024), 'я'.repeat(512)]) {
    assert.ok(isAcceptablePassword(new Secret(password)));
  }
  for (const password of ['', 'x'.repeat(1_025), 'я'.repeat(513), '\ud800']) {
    assert.ok(!isAcceptablePassword(new Secret(password)));
  }
});

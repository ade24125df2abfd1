import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseForm } from '#src/http/body.ts';

describe('a urlencoded form', () => {
  test('decodes blanks, escapes and UTF-8', () => {
    const form = parseForm(Buffer.from('username=%D0%B8%D0%B2%D0%B0%D0%BD+petrov&password=a%26b%3D'));
    assert.equal(form.get('username'), 'иван petrov');
    assert.equal(form.get('password'), 'a&b=');
  });

  for (const [name, body] of Object.entries({
    'a field that came twice': 'username=a&username=b',
    'a broken escape': 'username=%zz',
    'invalid UTF-8 in an escape': 'password=%ff',
  })) {
    test(`refuses ${name}`, () =>
      assert.throws(() => parseForm(Buffer.from(body)), { code: 'REQUEST_MALFORMED' }));
  }

  test('refuses raw bytes that are no UTF-8', () => {
    assert.throws(() => parseForm(Buffer.from([0x61, 0x3d, 0xff])), { code: 'REQUEST_MALFORMED' });
  });

  test('is no way to a prototype', () => {
    const form = parseForm(Buffer.from('__proto__=x&constructor=y'));
    assert.equal(form.get('__proto__'), 'x');
    assert.equal(Object.keys(Object.prototype).length, 0);
  });

  test('reads back what a browser writes', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), {
          selector: ([key]) => key,
        }),
        (pairs) => {
          const fields = pairs.filter(
            ([key, value]) => key.isWellFormed() && value.isWellFormed() && key !== '',
          );
          const form = parseForm(Buffer.from(new URLSearchParams(fields).toString()));
          for (const [key, value] of fields) assert.equal(form.get(key), value);
        },
      ),
    );
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type FormField, replayableFields } from '#src/gateway/kept-form/fields.ts';

function pairsOf(fields: readonly FormField[]): [string, string][] {
  return fields.map(({ name, value }) => [name, value]);
}

describe('a form that can be sent once more', () => {
  const kept = [
    { name: 'several fields', body: 'title=A+page&text=%D0%B4%D0%B0&empty=' },
    { name: 'repeated fields, in order', body: 'tag=b&tag=a&x=1&tag=c' },
    { name: 'line ends', body: 'text=one%0D%0Atwo%0D%0A%0D%0A' },
    { name: 'markup and quotes', body: 'text=%22%3E%3Cscript%3E%27%26amp%3B' },
    { name: 'the encoding a browser names', body: '_charset_=UTF-8&a=b' },
    { name: 'an emoji', body: 'mood=%F0%9F%98%80' },
  ];
  for (const { name, body } of kept) {
    test(`keeps ${name}`, () => {
      const fields = replayableFields(body);
      assert.ok(fields !== undefined);
      assert.equal(new URLSearchParams(pairsOf(fields)).toString(), body);
    });
  }

  const refused = [
    { name: 'nothing', body: '' },
    { name: 'text that is not UTF-8', body: 'text=%E4' },
    { name: 'bytes outside ASCII', body: 'text=\u00e4' },
    { name: 'escapes no form writes', body: 'a=%41' },
    { name: 'a blank as %20', body: 'a=x%20y' },
    { name: 'escapes in lower case', body: 'a=%d0%b4' },
    { name: 'a field without "="', body: 'a&b=1' },
    { name: 'a field without a name', body: '=1&b=2' },
    { name: 'a leading question mark', body: '?a=1' },
    { name: 'NUL', body: 'a=%00' },
    { name: 'half a line end', body: 'a=one%0Atwo' },
    { name: 'the other half', body: 'a=one%0Dtwo' },
    { name: 'half a line end in a name', body: 'a%0A=1' },
    { name: 'an encoding that a browser would name otherwise', body: '_charset_=windows-1251&a=b' },
    { name: 'more fields than applications take', body: 'a=1&'.repeat(1_001).slice(0, -1) },
  ];
  for (const { name, body } of refused) {
    test(`does not keep ${name}`, () => assert.equal(replayableFields(body), undefined));
  }

  test('is the same form again, or none', () => {
    const pairs = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(pairs, (written) => {
        const body = new URLSearchParams(written).toString();
        const fields = replayableFields(body);
        if (fields === undefined) return;
        assert.deepEqual(pairsOf(fields), Array.from(new URLSearchParams(body)));
        assert.equal(new URLSearchParams(pairsOf(fields)).toString(), body);
        assert.ok(fields.every(({ name, value }) => name !== '' && !value.includes('\0')));
      }),
    );
  });
});

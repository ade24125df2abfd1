import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergedFields } from '#src/proxy/merged-fields.ts';

describe('fields of an answer over HTTP/2', () => {
  const cases: readonly (readonly [what: string, fields: readonly string[], merged: readonly string[]])[] = [
    ['that came once stay as they are', ['A', '1', 'b', '2'], ['A', '1', 'b', '2']],
    ['that came twice become a list', ['Vary', 'a', 'X', '1', 'vary', 'b'], ['Vary', 'a, b', 'X', '1']],
    ['that say the same twice say it once', ['X-A', 'nosniff', 'x-a', 'nosniff'], ['X-A', 'nosniff']],
    [
      'that set cookies or challenge stay apart',
      [
        'Set-Cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'WWW-Authenticate',
        'Basic',
        'www-authenticate',
        'Negotiate',
      ],
      [
        'Set-Cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'WWW-Authenticate',
        'Basic',
        'www-authenticate',
        'Negotiate',
      ],
    ],
    ['may be none', [], []],
  ];
  for (const [what, fields, merged] of cases) {
    test(what, () => assert.deepEqual(mergedFields(fields), merged));
  }
});

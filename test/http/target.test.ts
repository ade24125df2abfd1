import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseTarget } from '#src/http/target.ts';

describe('a target that leaves no doubt', () => {
  const rows: { name: string; raw: string; canonical: string; readings?: readonly string[] }[] = [
    { name: 'the root', raw: '/', canonical: '/' },
    { name: 'a plain path', raw: '/wiki/page', canonical: '/wiki/page' },
    { name: 'a query is set apart and never judged', raw: '/a?next=/../b%2f', canonical: '/a' },
    { name: 'an escaped letter is decoded', raw: '/%61dmin/x', canonical: '/admin/x' },
    { name: 'other escapes are kept in upper case', raw: '/a%20b%c3%a9', canonical: '/a%20b%C3%A9' },
    {
      name: 'UTF-8 segments pass',
      raw: '/%D0%BE%D1%82%D1%87%D1%91%D1%82',
      canonical: '/%D0%BE%D1%82%D1%87%D1%91%D1%82',
    },
    { name: 'full-width dots are no dots', raw: '/%ef%bc%8e%ef%bc%8e/x', canonical: '/%EF%BC%8E%EF%BC%8E/x' },
    { name: 'a literal percent sign', raw: '/100%25', canonical: '/100%25' },
    { name: 'dots inside a name', raw: '/..a/b../.well-known/x', canonical: '/..a/b../.well-known/x' },
    {
      name: 'repeated slashes are read twice',
      raw: '//admin/x',
      canonical: '//admin/x',
      readings: ['//admin/x', '/admin/x'],
    },
    {
      name: 'parameters are read twice',
      raw: '/admin;x=1/users',
      canonical: '/admin;x=1/users',
      readings: ['/admin;x=1/users', '/admin/users'],
    },
    {
      name: 'encoded parameters too',
      raw: '/admin%3bx/users',
      canonical: '/admin%3Bx/users',
      readings: ['/admin%3Bx/users', '/admin/users'],
    },
    {
      name: 'an encoded slash is read twice',
      raw: '/a%2fb',
      canonical: '/a%2Fb',
      readings: ['/a%2Fb', '/a/b'],
    },
    {
      name: 'all of it at once is read in every combination',
      raw: '//a;p%2fb',
      canonical: '//a;p%2Fb',
      readings: ['//a;p%2Fb', '/a;p%2Fb', '//a', '//a;p/b', '/a', '/a;p/b', '//a/b', '/a/b'],
    },
  ];
  for (const { name, raw, canonical, readings = [canonical] } of rows) {
    test(name, () => {
      const target = parseTarget(raw);
      assert.equal(target?.canonical, canonical);
      assert.deepEqual(new Set(target.readings), new Set(readings));
      assert.equal(target.readings[0], canonical);
      assert.equal(target.path + target.query, raw);
    });
  }
});

describe('an ambiguous or malformed target is refused', () => {
  const rows: Record<string, string> = {
    'an empty target': '',
    'no leading slash': 'admin',
    'the asterisk form': '*',
    'the absolute form': 'http://app.example.test/',
    'a dot segment': '/public/../admin',
    'a single dot segment': '/admin/./x',
    'a trailing dot segment': '/admin/..',
    'encoded dots': '/public/%2e%2e/admin/x',
    'a half-encoded dot segment': '/public/.%2e/admin/x',
    'a dot segment with parameters': '/public/..;/admin/x',
    'a dot segment with encoded parameters': '/public/..%3b/admin/x',
    'a dot segment beside an encoded slash': '/public/..%2fadmin/x',
    'double encoding': '/public/%252e%252e/admin/x',
    'double encoding of a letter': '/%2561dmin',
    'double encoding whose digits are encoded too': '/public/%25%32%65%25%32%65/admin/x',
    'a raw backslash': '/public/..\\admin',
    'an encoded backslash': '/admin%5cusers',
    'an encoded NUL': '/admin/x%00.css',
    'encoded CR LF': '/public/%0d%0aX',
    'an encoded DEL': '/x%7f',
    'a fragment': '/public/#/../admin/x',
    'a fragment in the query': '/public/?a#b',
    'a blank': '/a b',
    'a raw byte above ASCII': '/\u00e9',
    'a raw byte above ASCII in the query': '/?\u00e9',
    'a broken escape': '/admin/%zz',
    'a truncated escape': '/admin/%4',
    'overlong UTF-8': '/public/%c0%ae%c0%ae/admin',
    'an encoded surrogate': '/%ed%a0%80',
    'a lone continuation byte': '/%80',
    'a truncated sequence': '/%e2%82',
  };
  for (const [name, raw] of Object.entries(rows)) {
    test(name, () => assert.equal(parseTarget(raw), undefined));
  }
});

describe('whatever the bytes', () => {
  const targets = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '/',
          '.',
          '..',
          ';',
          '%2e',
          '%2f',
          '%5c',
          '%25',
          '%c3',
          '%a9',
          'a',
          'admin',
          '?',
          '%61',
        ),
        fc.string(),
      ),
    )
    .map((parts) => `/${parts.join('')}`);

  test('no reading of an accepted target has a dot segment, a backslash or a control character', () => {
    fc.assert(
      fc.property(targets, (raw) => {
        for (const reading of parseTarget(raw)?.readings ?? []) {
          assert.doesNotMatch(reading, /[\\#?\0-\x20\x7f]/);
          assert.ok(!reading.split('/').some((segment) => segment === '.' || segment === '..'), reading);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('the canonical form is canonical: parsing it again changes nothing', () => {
    fc.assert(
      fc.property(targets, (raw) => {
        const target = parseTarget(raw);
        if (target !== undefined) assert.equal(parseTarget(target.canonical)?.canonical, target.canonical);
      }),
      { numRuns: 2_000 },
    );
  });

  test('decoding an accepted path once more never finds another segment structure', () => {
    fc.assert(
      fc.property(targets, (raw) => {
        const target = parseTarget(raw);
        if (target === undefined || target.hasEncodedSlash) return;
        const decoded = decodeURIComponent(target.path);
        assert.equal(decoded.split('/').length, target.path.split('/').length);
      }),
      { numRuns: 2_000 },
    );
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileGlob } from '#src/access/paths.ts';

describe('a path glob', () => {
  const rows: [glob: string, path: string, expect: boolean][] = [
    ['/healthz', '/healthz', true],
    ['/healthz', '/healthz/', true],
    ['/healthz/', '/healthz', true],
    ['/', '/', true],
    ['/', '/x', false],
    ['/a/*', '/a/b/', true],
    ['/a/*', '/a/', false],
    ['/healthz', '/healthzz', false],
    ['/admin/**', '/admin/users', true],
    ['/admin/**', '/admin/', true],
    ['/admin/**', '/admin', false],
    ['/admin/**', '/administrator', false],
    ['/**', '/', true],
    ['/**', '/any/thing', true],
    ['/*', '/one', true],
    ['/*', '/one/two', false],
    ['/*', '/', false],
    ['/a/*/c', '/a/b/c', true],
    ['/a/*/c', '/a//c', false],
    ['/a/**/c', '/a/c', true],
    ['/a/**/c', '/a/b/b/c', true],
    ['/a/**/c', '/a/b/cc', false],
    ['/**/secret/**', '/x/y/secret/z', true],
    ['/**/secret/**', '/x/secrets/z', false],
    ['/static/*.css', '/static/site.css', true],
    ['/static/*.css', '/static/site.css.js', false],
    ['/static/*.css', '/static/a/site.css', false],
    ['/v*/x', '/v12/x', true],
    ['/a+b(c)', '/a+b(c)', true],
    ['/отчёт/**', '/%D0%BE%D1%82%D1%87%D1%91%D1%82/1', true],
  ];
  for (const [glob, path, expect] of rows) {
    test(`${glob} ${expect ? 'matches' : 'does not match'} ${path}`, () => {
      assert.equal(compileGlob(glob, { caseInsensitive: false })(path), expect);
    });
  }

  test('folds case where the application says so', () => {
    assert.ok(compileGlob('/Admin/**', { caseInsensitive: true })('/admin/x'));
    assert.ok(!compileGlob('/Admin/**', { caseInsensitive: false })('/admin/x'));
  });

  test('agrees with a regular expression that says the same', () => {
    const parts = fc.constantFrom('a', 'b', 'ab', '*', '**', 'a*', '*b', 'a*b');
    const path = fc
      .array(fc.constantFrom('a', 'b', 'ab', 'aab', ''), { maxLength: 5 })
      .map((segments) => `/${segments.join('/')}`);
    fc.assert(
      fc.property(fc.array(parts, { minLength: 1, maxLength: 5 }), path, (segments, text) => {
        const expected = reference(segments).test(text);
        assert.equal(compileGlob(`/${segments.join('/')}`, { caseInsensitive: false })(text), expected);
      }),
      { numRuns: 5_000 },
    );
  });

  test('stays quick on patterns built to make backtracking explode', () => {
    const matches = compileGlob(`/${'**/a*a*/'.repeat(20)}z`, { caseInsensitive: false });
    const startedAt = performance.now();
    assert.equal(matches(`/${'aaaaaaaa/'.repeat(200)}`), false);
    assert.ok(performance.now() - startedAt < 1_000);
  });
});

/** `**` is any number of whole segments, also none; a glob without `**` at its end takes a slash behind it. */
function reference(segments: readonly string[]): RegExp {
  const source = segments.map((segment) => {
    if (segment === '**') return '(?:/[^/]*)*';
    return `/${segment === '*' ? '[^/]+' : segment.replaceAll('*', '[^/]*')}`;
  });
  if (segments.at(-1) !== '**') return new RegExp(`^${source.join('')}/?$`);
  // The last `**` needs the slash before it: `/x/**` is what lies below `/x/`.
  source[source.length - 1] = '(?:/[^/]*)+';
  return new RegExp(`^${source.join('')}$`);
}

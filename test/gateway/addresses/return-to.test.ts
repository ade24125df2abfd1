import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applicationOptions } from '#src/access/options.ts';
import { allowedReturnTarget } from '#src/gateway/addresses/return-to.ts';
import { compileSnapshot } from '#src/gateway/snapshot.ts';
import { serverOptions } from '#src/http/options.ts';
import { createLogger } from '#src/observability/logger.ts';

async function snapshotOf(publicUrl: string, cookieDomain?: string) {
  return await compileSnapshot({
    server: serverOptions.parse({ publicUrl }),
    cookieDomain,
    logger: createLogger({ level: 'error', sink: { write: () => undefined } }),
    applications: [applicationOptions.parse({ name: 'app', hosts: ['app.example.test', '*.wild.test'] })],
  });
}

const snapshot = await snapshotOf('https://gw.example.test');

describe('a return target is followed', () => {
  for (const target of [
    '/',
    '/wiki/page?x=1&y=%2F',
    '/_vratar/',
    'https://app.example.test',
    'https://app.example.test/',
    'https://app.example.test/wiki?next=https://evil.test/',
    'https://app.example.test:443/x',
    '/a/b?c=d#e',
    'https://app.example.test/x#/y?z',
    'https://deep.wild.test/x',
    'https://gw.example.test/x',
    '/%D0%BE%D1%82%D1%87%D1%91%D1%82',
  ]) {
    test(target, () => assert.equal(allowedReturnTarget(target, snapshot), target));
  }

  test('on another port where the person is already', () => {
    const target = 'https://app.example.test:8443/x';
    assert.equal(allowedReturnTarget(target, snapshot, 'app.example.test:8443'), target);
    assert.equal(allowedReturnTarget(target, snapshot, 'gw.example.test:8443'), undefined);
  });

  test('below the cookie domain, also where no application is configured here', async () => {
    assert.ok(
      allowedReturnTarget(
        'https://other.example.test/x',
        await snapshotOf('https://gw.example.test', 'example.test'),
      ),
    );
  });

  test('over http only where the gateway itself is reached over http', async () => {
    assert.ok(allowedReturnTarget('http://app.example.test/', await snapshotOf('http://gw.example.test')));
  });
});

describe('a return target is replaced', () => {
  for (const target of [
    '',
    'wiki',
    '//evil.test',
    '///evil.test',
    '/\\evil.test',
    '/%2Fevil.test',
    '/%5cevil.test',
    '/\tevil.test',
    '/ /evil.test',
    '/x/../../evil',
    '\\\\evil.test',
    'https:evil.test',
    'https:/evil.test',
    'https://evil.test/',
    'https://evil.test',
    'HTTPS://evil.test/',
    'http://app.example.test/',
    'https://app.example.test@evil.test/',
    'https://app.example.test%2eevil.test/',
    'https://app.example.test\\@evil.test/',
    'https://app.example.test.evil.test/',
    'https://evilapp.example.test/',
    'https://other.example.test/',
    'https://wild.test/',
    'https://evil.test?app.example.test/',
    'https://evil.test#app.example.test/',
    'https://app.example.test:80:80/',
    'https:///app.example.test/',
    'javascript:alert(1)//app.example.test/',
    'data:text/html,x',
    '/_vratar/logout',
    '/_vratar/login?rd=/',
    '//_vratar/logout',
    '/_vratar/auth/nginx',
    'https://app.example.test/_vratar/logout',
    '/a\u0000b',
    '/é',
    `/${'a'.repeat(9_000)}`,
  ]) {
    test(JSON.stringify(target.slice(0, 60)), () =>
      assert.equal(allowedReturnTarget(target, snapshot), undefined),
    );
  }
});

test('whatever is followed stays with us, as browsers read addresses', () => {
  const parts = fc.constantFrom(
    '/',
    '//',
    '\\',
    '@',
    ':',
    '?',
    '#',
    '/x#a b',
    '/x#\\',
    'https://app.example.test:8443/x',
    '%2f',
    '%5c',
    '.',
    'https:',
    'http:',
    'evil.test',
    'app.example.test',
    '\t',
    ' ',
    'x',
    'javascript:',
  );
  fc.assert(
    fc.property(
      fc.array(parts, { maxLength: 8 }).map((list) => list.join('')),
      (target) => {
        const followed = allowedReturnTarget(target, snapshot);
        if (followed === undefined) return;
        const { host } = new URL(followed, 'https://gw.example.test/_vratar/login');
        assert.ok(host === 'gw.example.test' || host === 'app.example.test', `${target} leads to ${host}`);
      },
    ),
    { numRuns: 20_000 },
  );
});

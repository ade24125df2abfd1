import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestGateway } from '#test/servers/gateway.ts';
import { type Answer, ask, askAsNginx, type Visitor } from '#test/support/http-client.ts';
import { signedIn, startSite } from './site.ts';

let gateway: TestGateway;
let alice: Visitor;
let ivan: Visitor;
before(async () => {
  gateway = await startSite();
  alice = await signedIn(gateway, 'alice');
  ivan = await signedIn(gateway, 'ivan');
});
after(async () => await gateway[Symbol.asyncDispose]());

type Header = readonly [string, string];

/** What nginx sends for an original request. */
function nginx(url: string, headers: readonly Header[] = [], method = 'GET'): Promise<Answer> {
  return askAsNginx(gateway.port, url, [['Host', 'internal'], ...headers], method);
}

const cookieOf = (visitor: Visitor): Header => ['Cookie', visitor.cookieHeader];
const identityNames = ['remote-user', 'remote-groups', 'remote-name', 'remote-email', 'remote-roles'];

describe('an allowed request', () => {
  test('is answered with exactly 200, an empty body, every identity header, and is not to be cached', async () => {
    const answer = await nginx('https://app.example.test/', [cookieOf(ivan)]);
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '');
    assert.equal(answer.headers['remote-user'], 'ivan');
    assert.equal(answer.headers['remote-groups'], 'staff,editors');
    assert.equal(
      answer.headers['remote-name'],
      '%D0%98%D0%B2%D0%B0%D0%BD %D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2',
    );
    assert.equal(answer.headers['remote-email'], '');
    assert.equal(answer.headers['remote-roles'], 'editor');
    assert.equal(answer.headers['cache-control'], 'no-store');
  });

  test('carries every identity header, empty, for the anonymous on a public page', async () => {
    const answer = await nginx('https://app.example.test/public/x');
    assert.equal(answer.status, 200);
    for (const name of identityNames) assert.equal(answer.headers[name], '', name);
  });

  test('may be described by X-Original-URI and forwarded fields instead of the full URL', async () => {
    const answer = await ask({
      port: gateway.port,
      path: '/_vratar/auth/nginx',
      headers: [
        ['X-Original-URI', '/api/x?y=1'],
        ['X-Original-Method', 'GET'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'app.example.test:8443'],
        cookieOf(alice),
      ],
    });
    assert.equal(answer.status, 200);
  });
});

describe('a request that needs a sign-in', () => {
  test('is answered with 401 and the sign-in address of the application, never 302', async () => {
    const answer = await nginx('https://app.example.test:8443/wiki?a=1&b=2', [
      ['Accept', 'text/html'],
      ['Sec-Fetch-Mode', 'navigate'],
    ]);
    assert.equal(answer.status, 401);
    assert.equal(
      answer.headers.location,
      'https://app.example.test:8443/_vratar/login?rd=https%3A%2F%2Fapp.example.test%3A8443%2Fwiki%3Fa%3D1%26b%3D2',
    );
    assert.equal(answer.headers['set-cookie'], undefined);
  });

  test('leads to publicUrl where the cookie domain covers the host', async () => {
    await using shared = await startSite(undefined, { session: { cookie: { domain: 'example.test' } } });
    const answer = await askAsNginx(shared.port, 'https://app.example.test/');
    assert.equal(
      answer.headers.location,
      'http://gw.example.test/_vratar/login?rd=https%3A%2F%2Fapp.example.test%2F',
    );
  });

  const rows: { name: string; cookie: (valid: string) => string }[] = [
    { name: 'a made-up ticket', cookie: () => `vratar=${'A'.repeat(43)}` },
    {
      name: 'the cookie twice, one of them valid',
      cookie: (valid) => `vratar=${'A'.repeat(43)}; vratar=${valid}`,
    },
    { name: 'a quoted ticket', cookie: (valid) => `vratar="${valid}"` },
    { name: 'another case of the name', cookie: (valid) => `Vratar=${valid}` },
    { name: 'a nameless cookie that contains the pair', cookie: (valid) => `=vratar=${valid}` },
    { name: 'a name that only ends alike', cookie: (valid) => `xvratar=${valid}` },
    { name: 'only separators', cookie: () => '; ; ;;=;' },
  ];
  for (const { name, cookie } of rows) {
    test(`is one with ${name}`, async () => {
      const valid = alice.cookies.get('vratar') as string;
      assert.equal((await nginx('https://app.example.test/', [['Cookie', cookie(valid)]])).status, 401);
    });
  }

  test('is not one with other cookies around the ticket', async () => {
    const valid = alice.cookies.get('vratar') as string;
    const answer = await nginx('https://app.example.test/', [
      ['Cookie', `__proto__=1; $Version=1; ${'a=1; '.repeat(1_000)}vratar=${valid}; constructor=2`],
    ]);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['remote-user'], 'alice');
  });
});

describe('a denied request is answered with 403', () => {
  const rows: { name: string; url: string; method?: string; headers?: readonly Header[]; as?: 'alice' }[] = [
    { name: 'a rule that does not hold', url: 'https://app.example.test/admin/x', as: 'alice' },
    {
      name: 'a method the rule asks more for',
      url: 'https://app.example.test/api/x',
      method: 'POST',
      as: 'alice',
    },
    {
      name: 'a method the application does not take',
      url: 'https://app.example.test/',
      method: 'TRACE',
      as: 'alice',
    },
    {
      name: 'a path that could be read as a denied one',
      url: 'https://app.example.test//admin/x',
      as: 'alice',
    },
    { name: 'an encoded slash', url: 'https://app.example.test/a%2fb', as: 'alice' },
    { name: 'an unknown host', url: 'https://evil.test/', as: 'alice' },
    { name: 'a dot segment', url: 'https://app.example.test/public/../admin/x' },
    { name: 'an encoded dot segment', url: 'https://app.example.test/public/%2e%2e/admin/x' },
    { name: 'a broken escape', url: 'https://app.example.test/admin/%' },
    { name: 'a URL without a path', url: 'https://app.example.test' },
    { name: 'a URL with user info', url: 'https://x@app.example.test/' },
    { name: 'another scheme', url: 'ftp://app.example.test/' },
    { name: 'no scheme', url: '/public/x' },
    { name: 'a malformed method', url: 'https://app.example.test/public/x', method: 'get' },
    {
      name: 'the URL twice',
      url: 'https://app.example.test/public/x',
      headers: [['X-Original-URL', 'https://app.example.test/public/x']],
    },
    {
      name: 'the method twice',
      url: 'https://app.example.test/public/x',
      headers: [['X-Original-Method', 'GET']],
    },
    {
      name: 'a URI that contradicts the URL',
      url: 'https://app.example.test/public/x',
      headers: [['X-Original-URI', '/admin/x']],
    },
  ];
  for (const { name, url, method, headers = [], as } of rows) {
    test(name, async () => {
      const answer = await nginx(url, [...headers, ...(as === undefined ? [] : [cookieOf(alice)])], method);
      assert.equal(answer.status, 403);
      for (const header of identityNames) assert.equal(answer.headers[header], undefined);
    });
  }

  test('missing metadata', async () => {
    assert.equal(
      (
        await ask({
          port: gateway.port,
          path: '/_vratar/auth/nginx',
          headers: [['X-Original-Method', 'GET']],
        })
      ).status,
      403,
    );
    assert.equal(
      (
        await ask({
          port: gateway.port,
          path: '/_vratar/auth/nginx',
          headers: [['X-Original-URL', 'https://app.example.test/public/x']],
        })
      ).status,
      403,
    );
  });

  test('a peer that is no trusted proxy, whatever it describes', async () => {
    await using closed = await startSite(undefined, {
      server: { publicUrl: 'http://gw.example.test', trustedProxies: [] },
    });
    const answer = await askAsNginx(closed.port, 'https://app.example.test/public/x');
    assert.equal(answer.status, 403);
  });

  test('an underscore twin of the metadata is not looked at', async () => {
    assert.equal(
      (
        await nginx('https://app.example.test/admin/x', [
          ['X_Original_URL', 'https://app.example.test/public/x'],
        ])
      ).status,
      401,
    );
  });
});

describe('the dialects of the other proxies', () => {
  const forwarded = (uri: string, headers: readonly Header[] = []): readonly Header[] => [
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'app.example.test'],
    ['X-Forwarded-Uri', uri],
    ...headers,
  ];
  for (const dialect of ['traefik', 'caddy', 'haproxy']) {
    const path = `/_vratar/auth/${dialect}`;
    test(`${dialect}: a navigation is redirected, anything else is told`, async () => {
      const page = await ask({
        port: gateway.port,
        path,
        headers: forwarded('/wiki', [['Accept', 'text/html']]),
      });
      assert.equal(page.status, 302);
      assert.match(
        page.headers.location as string,
        /^https:\/\/app\.example\.test\/_vratar\/login\?rd=https%3A%2F%2Fapp\.example\.test%2Fwiki$/,
      );
      const call = await ask({
        port: gateway.port,
        path,
        headers: forwarded('/wiki', [['Accept', 'application/json']]),
      });
      assert.equal(call.status, 401);
      assert.equal((JSON.parse(call.body) as { error: string }).error, 'SIGN_IN_REQUIRED');
    });

    test(`${dialect}: allowed, denied, contradicted`, async () => {
      assert.equal(
        (await ask({ port: gateway.port, path, headers: forwarded('/', [cookieOf(alice)]) })).status,
        200,
      );
      assert.equal(
        (await ask({ port: gateway.port, path, headers: forwarded('/admin/x', [cookieOf(alice)]) })).status,
        403,
      );
      assert.equal(
        (
          await ask({
            port: gateway.port,
            path,
            headers: forwarded('/public/x', [['X-Original-URI', '/admin/x']]),
          })
        ).status,
        403,
      );
      assert.equal(
        (
          await ask({
            port: gateway.port,
            path,
            headers: forwarded('/public/x', [['X-Forwarded-Uri', '/admin/x']]),
          })
        ).status,
        403,
      );
    });
  }

  test('envoy: the original path follows the endpoint', async () => {
    const headers: readonly Header[] = [
      ['Host', 'app.example.test'],
      ['X-Forwarded-Proto', 'https'],
    ];
    const at = (path: string, more: readonly Header[] = []): Promise<Answer> =>
      ask({ port: gateway.port, path: `/_vratar/auth/envoy${path}`, headers: [...headers, ...more] });
    assert.equal((await at('/public/x')).status, 200);
    assert.equal((await at('/wiki?x=1', [cookieOf(alice)])).status, 200);
    assert.equal((await at('/admin/x', [cookieOf(alice)])).status, 403);
    assert.equal((await at('/public/../admin/x')).status, 403);
    assert.equal((await at('', [cookieOf(alice)])).status, 200);
  });

  test('an unknown dialect is no endpoint', async () => {
    const answer = await ask({
      port: gateway.port,
      path: '/_vratar/auth/iis',
      headers: [['Host', 'gw.example.test']],
    });
    assert.equal(answer.status, 404);
  });
});

test('identities do not mix under concurrency', async () => {
  const visitors = [alice, ivan];
  const answers = await Promise.all(
    Array.from({ length: 400 }, async (_, i) => {
      const visitor = visitors[i % 2] as Visitor;
      return await nginx('https://app.example.test/', [cookieOf(visitor)]);
    }),
  );
  for (const [i, answer] of answers.entries())
    assert.equal(answer.headers['remote-user'], i % 2 === 0 ? 'alice' : 'ivan');
});

test('decisions are counted by application, dialect and reason', async () => {
  const metrics = await gateway.metrics();
  assert.match(
    metrics,
    /vratar_decisions_total\{application="app",dialect="nginx",decision="allow",reason="public"\} \d+/,
  );
  assert.match(
    metrics,
    /vratar_decisions_total\{application="app",dialect="nginx",decision="deny",reason="conditions-not-met"\} \d+/,
  );
  assert.match(
    metrics,
    /vratar_http_requests_total\{listener="public",surface="forward_auth",code="401"\} \d+/,
  );
});

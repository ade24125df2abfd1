/** Verdicts kept by a real nginx: what shares one, what never does, and how long a sign-out may go unnoticed. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { siteConfig } from '#test/gateway/site.ts';
import type { FrontProxy } from '#test/servers/front-proxy.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startNginx } from '#test/servers/nginx.ts';
import { startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { type Answer, ask, csrfOf, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const keptForMs = 3_000;
const snippet = readFileSync(new URL('../../deploy/nginx/vratar-cached-auth.conf', import.meta.url), 'utf8');
const cachePath = /^# +(proxy_cache_path .*;)$/m.exec(snippet)?.[1] as string;

const folder = mkdtempSync(join(tmpdir(), 'vratar-verdicts-'));
let upstream: TestUpstream;
let gateway: TestGateway;
let nginx: FrontProxy;
before(async () => {
  upstream = await startUpstream();
  const application = {
    decisionCache: `${keptForMs / 1_000}s`,
    rules: [
      { paths: ['/public/**'], access: 'public' },
      { paths: ['/admin/**'], access: { groups: ['admins'] } },
      { paths: ['/write/**'], methods: ['POST'], access: { groups: ['admins'] } },
      { networks: ['127.0.0.1'], access: 'authenticated' },
    ],
  };
  gateway = await startGateway({
    config: {
      ...siteConfig(),
      applications: [
        { ...application, name: 'app', hosts: ['app.example.test'], credentials: ['session', 'basic'] },
        { ...application, name: 'other', hosts: ['other.example.test'], rules: [{ access: 'deny' }] },
        { ...application, name: 'fresh', hosts: ['fresh.example.test'], decisionCache: 'off' },
      ],
    },
  });
  nginx = await startNginx({
    gateway: `127.0.0.1:${gateway.port}`,
    http: cachePath.replace('/run/nginx-vratar', join(folder, 'cache')),
    servers: (port) => `
server {
  listen 127.0.0.1:${port};
  server_name _;
  include snippets/vratar.conf;
  ${snippet}
  location / {
    ${readFileSync(new URL('../../deploy/nginx/vratar-protect.conf', import.meta.url), 'utf8').replace(
      'auth_request /_vratar/auth/nginx;',
      'auth_request /_vratar/cached-auth;',
    )}
    proxy_pass ${upstream.url};
  }
}`,
  });
});
after(async () => {
  await nginx[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

type Header = readonly [string, string];

async function signedIn(username: string, host = 'app.example.test'): Promise<Visitor> {
  const visitor = new Visitor(nginx.port, [['Host', host]]);
  const answer = await visitor.signIn(username, gateway.passwords.get(`staff:${username}`) as string);
  assert.equal(answer.status, 303);
  return visitor;
}

/** How often the gateway was asked for a verdict so far. */
async function asked(): Promise<number> {
  const text = await gateway.metrics();
  const counts = [...text.matchAll(/^vratar_decisions_total\{.*dialect="nginx".*\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function askedDuring(work: () => Promise<unknown>): Promise<number> {
  const before = await asked();
  await work();
  return (await asked()) - before;
}

const get = async (path: string, headers: readonly Header[] = [], method = 'GET'): Promise<Answer> =>
  await ask({ port: nginx.port, path, method, headers: [['Host', 'app.example.test'], ...headers] });

describe('a verdict that nginx keeps', () => {
  test('serves the same request of the same person, with the same identity', async () => {
    const alice = await signedIn('alice');
    const answers: Answer[] = [];
    const count = await askedDuring(async () => {
      for (let i = 0; i < 10; i++) answers.push(await alice.ask('/page?x=1'));
    });
    assert.equal(count, 1);
    for (const { status } of answers) assert.equal(status, 200);
    const users = upstream.received.slice(-10).flatMap(({ headers }) => valuesOf(headers, 'Remote-User'));
    assert.deepEqual(
      users,
      Array.from({ length: 10 }, () => 'alice'),
    );
  });

  test('is asked for once when many requests arrive together', async () => {
    const alice = await signedIn('alice');
    const count = await askedDuring(
      async () => await Promise.all(Array.from({ length: 30 }, async () => await alice.ask('/together'))),
    );
    assert.equal(count, 1);
  });

  test('may be a denial', async () => {
    const alice = await signedIn('alice');
    const count = await askedDuring(async () => {
      for (let i = 0; i < 5; i++) assert.equal((await alice.ask('/admin/x')).status, 403);
    });
    assert.equal(count, 1);
  });

  test('ends when its time is over', async () => {
    const alice = await signedIn('alice');
    const before = await asked();
    await alice.ask('/ends');
    await until(
      async () => {
        await alice.ask('/ends');
        return (await asked()) - before >= 2;
      },
      { timeoutMs: keptForMs + 5_000, what: 'a second question' },
    );
  });
});

describe('a verdict is never shared', () => {
  test('with another person, nobody, or a broken cookie', async () => {
    const alice = await signedIn('alice');
    const root = await signedIn('root1');
    assert.equal((await root.ask('/admin/secret')).status, 200);
    assert.equal((await alice.ask('/admin/secret')).status, 403);
    assert.equal((await get('/admin/secret')).status, 401);
    const twice = `${root.cookieHeader}; ${alice.cookieHeader}`;
    assert.equal((await get('/admin/secret', [['Cookie', twice]])).status, 401);
    assert.equal((await root.ask('/admin/secret')).status, 200);
    assert.equal(valuesOf(upstream.received.at(-1)?.headers ?? [], 'Remote-User')[0], 'root1');
  });

  const variations: { name: string; first: string; second: string; method?: string; status: number }[] = [
    { name: 'with another path', first: '/a', second: '/admin/a', status: 403 },
    { name: 'with another query', first: '/a?b=1', second: '/a?b=2', status: 200 },
    { name: 'with another spelling of the path', first: '/x/a', second: '//x/a', status: 200 },
    { name: 'with another method', first: '/write/a', second: '/write/a', method: 'POST', status: 403 },
    { name: 'with a method of the same meaning', first: '/a2', second: '/a2', method: 'HEAD', status: 200 },
  ];
  for (const { name, first, second, method = 'GET', status } of variations) {
    test(name, async () => {
      const alice = await signedIn('alice');
      const count = await askedDuring(async () => {
        assert.equal((await alice.ask(first)).status, 200);
        assert.equal((await alice.ask(second, { method })).status, status);
      });
      assert.equal(count, 2);
    });
  }

  test('with another host', async () => {
    const alice = await signedIn('alice');
    assert.equal((await alice.ask('/host')).status, 200);
    const other = await ask({
      port: nginx.port,
      path: '/host',
      headers: [
        ['Host', 'other.example.test'],
        ['Cookie', alice.cookieHeader],
      ],
    });
    assert.equal(other.status, 403);
  });

  test('with a request that carries a password', async () => {
    const secret = gateway.passwords.get('staff:alice') as string;
    const basic: Header = ['Authorization', `Basic ${Buffer.from(`alice:${secret}`).toString('base64')}`];
    const count = await askedDuring(async () => {
      const challenged = await get('/basic');
      assert.equal(challenged.status, 401);
      assert.equal(challenged.headers['www-authenticate'], 'Basic realm="app", charset="UTF-8"');
      assert.equal((await get('/basic', [basic])).status, 200);
      assert.equal((await get('/basic', [basic])).status, 200);
      assert.equal((await get('/basic')).status, 401);
    });
    assert.equal(count, 4);
  });
});

test('a challenge is never kept: whoever signs in gets in at once', async () => {
  const visitor = new Visitor(nginx.port, [['Host', 'app.example.test']]);
  for (let i = 0; i < 3; i++) assert.equal((await visitor.ask('/start')).status, 401);
  const secret = gateway.passwords.get('staff:alice') as string;
  assert.equal((await visitor.signIn('alice', secret)).status, 303);
  assert.equal((await visitor.ask('/start')).status, 200);
});

test('a sign-out takes effect within the time a verdict is kept, also for a stolen copy of the cookie', async () => {
  const alice = await signedIn('alice');
  const stolen: Header = ['Cookie', alice.cookieHeader];
  assert.equal((await get('/private', [stolen])).status, 200);
  const page = await alice.ask('/_vratar/logout', { headers: [['Accept', 'text/html']] });
  const startedAt = performance.now();
  assert.equal((await alice.submit('/_vratar/logout', { csrf: csrfOf(page.body) })).status, 303);
  await until(async () => (await get('/private', [stolen])).status === 401, {
    timeoutMs: keptForMs + 5_000,
    what: 'the end of the session',
  });
  // nginx counts in whole seconds.
  assert.ok(performance.now() - startedAt < keptForMs + 1_100);
  assert.equal((await get('/never-asked-before', [stolen])).status, 401);
});

test('an application without decisionCache is asked about every time', async () => {
  const visitor = await signedIn('alice', 'fresh.example.test');
  const count = await askedDuring(async () => {
    for (let i = 0; i < 4; i++) await visitor.ask('/');
  });
  assert.equal(count, 4);
});

test('nobody outside can ask for a kept verdict', async () => {
  assert.equal((await get('/_vratar/cached-auth')).status, 404);
});

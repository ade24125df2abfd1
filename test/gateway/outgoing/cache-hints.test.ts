import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signedIn, siteConfig } from '#test/gateway/site.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { ManualClock } from '#test/support/clock.ts';
import { type Answer, ask, askAsNginx, type Visitor } from '#test/support/http-client.ts';

type Header = readonly [string, string];

const clock = new ManualClock(Date.now());
let gateway: TestGateway;
let alice: Visitor;
before(async () => {
  const rules = [
    { paths: ['/public/**'], access: 'public' },
    { paths: ['/admin/**'], access: { groups: ['admins'] } },
    { access: 'authenticated' },
  ];
  gateway = await startGateway({
    clock,
    config: {
      ...siteConfig(),
      session: { idleTimeout: '1m', absoluteTimeout: '1m', refreshInterval: '30s' },
      applications: [
        {
          name: 'kept',
          hosts: ['app.example.test'],
          rules,
          decisionCache: '20s',
          credentials: ['session', 'basic'],
        },
        { name: 'fresh', hosts: ['fresh.example.test'], rules },
      ],
    },
  });
  alice = await signedIn(gateway, 'alice');
});
after(async () => await gateway[Symbol.asyncDispose]());

async function nginx(
  path: string,
  headers: readonly Header[] = [],
  host = 'app.example.test',
): Promise<Answer> {
  return await askAsNginx(gateway.port, `https://${host}${path}`, headers);
}
const cookie = (): Header => ['Cookie', alice.cookieHeader];
const hintOf = async (answer: Promise<Answer>): Promise<string | undefined> =>
  (await answer).headers['cache-control'];

describe('the cache hint of a verdict', () => {
  test('names its time and everything it depends on, once, in as few bytes as nginx reads', async () => {
    const { headers, rawHeaders } = await nginx('/', [cookie()]);
    assert.equal(headers['cache-control'], 'max-age=20');
    assert.equal(rawHeaders.filter((name) => name.toLowerCase() === 'cache-control').length, 1);
    assert.equal(headers['remote-user'], 'alice');
    const vary = String(headers.vary);
    assert.ok(vary.length <= 128);
    for (const name of [
      'Cookie',
      'Authorization',
      'X-Original-URL',
      'X-Original-Method',
      'X-Forwarded-For',
    ]) {
      assert.ok(vary.split(',').includes(name), name);
    }
  });

  test('is given on denials and public pages, never on a challenge', async () => {
    assert.equal(await hintOf(nginx('/admin/x', [cookie()])), 'max-age=20');
    assert.equal(await hintOf(nginx('/public/x')), 'max-age=20');
    assert.equal(await hintOf(nginx('/')), 'no-store');
  });

  test('is not given on what cannot be decided, nor beside a password', async () => {
    assert.equal(await hintOf(nginx('/a%2e%2e/b')), 'no-store');
    assert.equal(await hintOf(nginx('/', [], 'unknown.test')), 'no-store');
    assert.equal(await hintOf(nginx('/', [cookie(), ['Authorization', 'Basic eDp5']])), 'no-store');
  });

  test('is not given where the application does not ask for it, nor to a proxy that hands answers on', async () => {
    const fresh = await signedIn(gateway, 'alice', ['Host', 'fresh.example.test']);
    const answer = nginx('/', [['Cookie', fresh.cookieHeader]], 'fresh.example.test');
    assert.equal(await hintOf(answer), 'no-store');
    const traefik = await ask({
      port: gateway.port,
      path: '/_vratar/auth/traefik',
      headers: [
        ['X-Forwarded-Method', 'GET'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'app.example.test'],
        ['X-Forwarded-Uri', '/admin/x'],
        cookie(),
      ],
    });
    assert.equal(traefik.status, 403);
    assert.equal(traefik.headers['cache-control'], 'no-store');
    assert.equal(traefik.headers.vary, undefined);
  });

  // Last: the clock goes on.
  test('ends before the next refresh, and before the session', async () => {
    clock.advance(15_500);
    assert.equal(await hintOf(nginx('/', [cookie()])), 'max-age=14');
    clock.advance(14_000);
    assert.equal(await hintOf(nginx('/', [cookie()])), 'no-store');
    // The refresh that became due is made behind a request; what follows it is fresh again.
    clock.advance(1_000);
    await nginx('/', [cookie()]);
    clock.advance(20_000);
    const hint = await hintOf(nginx('/', [cookie()]));
    const seconds = Number(/max-age=(\d+)/.exec(String(hint))?.[1] ?? 0);
    assert.ok(seconds <= 9, `${hint} although the session ends in 9.5 s`);
  });
});

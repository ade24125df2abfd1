import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { signedIn, siteConfig } from '#test/gateway/site.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { startGateway } from '#test/servers/gateway.ts';
import { startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { ManualClock } from '#test/support/clock.ts';
import { type Answer, ask, askAsNginx, type Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

type Header = readonly [string, string];

const clock = new ManualClock(Date.now());
let upstream: TestUpstream;
let gateway: TestGateway;
let alice: Visitor;
before(async () => {
  upstream = await startUpstream();
  const config = siteConfig();
  const application = {
    hosts: ['app.example.test'],
    upstream: upstream.url,
    rules: [{ paths: ['/public/**'], access: 'public' }, { access: 'authenticated' }],
  };
  gateway = await startGateway({
    clock,
    config: {
      ...config,
      applications: [
        { ...application, name: 'wiki', headers: { assertion: true } },
        { ...application, name: 'plain', pathPrefix: '/plain' },
        {
          ...application,
          name: 'many',
          pathPrefix: '/many',
          headers: { assertion: true, maxListBytes: '64B', groups: ['*'] },
        },
      ],
    },
  });
  alice = await signedIn(gateway, 'alice');
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

async function publicKeys(): Promise<Answer> {
  return await ask({
    port: gateway.port,
    path: '/_vratar/jwks.json',
    headers: [['Host', 'gw.example.test']],
  });
}

async function verify(token: string, audience = 'wiki'): Promise<JWTPayload> {
  const keys = createLocalJWKSet(JSON.parse((await publicKeys()).body) as JSONWebKeySet);
  const { payload } = await jwtVerify(token, keys, {
    issuer: 'http://gw.example.test',
    audience,
    currentDate: new Date(clock.now()),
  });
  return payload;
}

async function forwardAuth(path: string, headers: readonly Header[] = []): Promise<Answer> {
  return await askAsNginx(gateway.port, `https://app.example.test${path}`, headers);
}
const cookie = (): Header => ['Cookie', alice.cookieHeader];
const assertionOf = async (path = '/'): Promise<string> =>
  String((await forwardAuth(path, [cookie()])).headers['x-vratar-assertion']);

test('public keys may be kept for five minutes, are JSON and hold nothing private', async () => {
  const { status, headers, body } = await publicKeys();
  assert.equal(status, 200);
  assert.equal(headers['cache-control'], 'public, max-age=300');
  assert.equal(headers['content-type'], 'application/jwk-set+json');
  const { keys } = JSON.parse(body) as { keys: Record<string, string>[] };
  assert.equal(keys.length, 2);
  for (const key of keys) assert.ok(!('d' in key));
});

describe('an allowed request', () => {
  test('carries an assertion in the verdict of forward-auth', async () => {
    const payload = await verify(await assertionOf());
    assert.equal(payload['username'], 'alice');
    assert.deepEqual(payload['groups'], ['staff']);
    assert.equal(payload.exp, (payload.iat as number) + 300);
  });

  test('carries an assertion to the upstream, once, in place of what the client claims', async () => {
    await alice.ask('/', {
      headers: [
        ['X-Vratar-Assertion', 'forged'],
        ['x_vratar_assertion', 'forged'],
      ],
    });
    const { headers } = upstream.received.at(-1) as { headers: readonly string[] };
    const [token, ...more] = valuesOf(headers, 'X-Vratar-Assertion');
    assert.deepEqual(more, []);
    assert.deepEqual(valuesOf(headers, 'x_vratar_assertion'), []);
    assert.equal((await verify(token as string))['username'], 'alice');
  });

  test('of the anonymous has the header empty in forward-auth, and none in the reverse proxy', async () => {
    assert.equal((await forwardAuth('/public/x')).headers['x-vratar-assertion'], '');
    await ask({
      port: gateway.port,
      path: '/public/x',
      headers: [
        ['Host', 'app.example.test'],
        ['X-Vratar-Assertion', 'forged'],
      ],
    });
    assert.deepEqual(valuesOf(upstream.received.at(-1)?.headers ?? [], 'X-Vratar-Assertion'), []);
  });

  test('has none for an application that does not ask for it, not even a forged one', async () => {
    assert.equal((await forwardAuth('/plain', [cookie()])).headers['x-vratar-assertion'], undefined);
    await alice.ask('/plain', { headers: [['X-Vratar-Assertion', 'forged']] });
    assert.deepEqual(valuesOf(upstream.received.at(-1)?.headers ?? [], 'X-Vratar-Assertion'), []);
  });
});

test('an assertion for one application is not one for another', async () => {
  const token = await assertionOf('/many');
  await verify(token, 'many');
  await assert.rejects(verify(token, 'wiki'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
});

test('an assertion is signed once per person, renewed behind the requests, and never old', async () => {
  const first = await assertionOf();
  assert.equal(await assertionOf(), first);
  clock.advance(119_000);
  assert.equal(await assertionOf(), first);
  clock.advance(2_000);
  const renewed = await until(
    async () => {
      const token = await assertionOf();
      return token === first ? undefined : token;
    },
    { what: 'a renewed assertion' },
  );
  assert.equal(await assertionOf(), renewed);
  // Nobody asked for three minutes: what is handed out then was signed then.
  clock.advance(185_000);
  const { iat } = await verify(await assertionOf());
  assert.equal(iat, Math.floor(clock.now() / 1_000));
});

test('first requests of a person that arrive together share one signature', async () => {
  const ivan = await signedIn(gateway, 'ivan');
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => await forwardAuth('/', [['Cookie', ivan.cookieHeader]])),
  );
  const tokens = new Set(answers.map(({ headers }) => headers['x-vratar-assertion']));
  assert.equal(tokens.size, 1);
});

test('keeps its keys where the configuration says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-keys-'));
  const file = join(folder, 'ring.json');
  try {
    await using other = await startGateway({ config: { ...siteConfig(), keys: { file } } });
    const { body } = await ask({
      port: other.port,
      path: '/_vratar/jwks.json',
      headers: [['Host', 'gw.example.test']],
    });
    const shown = (JSON.parse(body) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
    const kept = (JSON.parse(readFileSync(file, 'utf8')) as { keys: { kid: string }[] }).keys;
    assert.deepEqual(
      kept.map(({ kid }) => kid),
      shown,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

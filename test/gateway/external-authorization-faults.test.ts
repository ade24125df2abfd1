import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { status as grpcCodes, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { type Asked, Envoy, encodeCheckRequest } from '#test/servers/envoy-authorization.ts';
import { startGatewayProcess, type TestGateway } from '#test/servers/gateway.ts';
import { Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { cookieOf, grpcPort, serverWith, startGrpcSite } from './grpc-site.ts';
import { signedIn, siteConfig } from './site.ts';

let gateway: TestGateway;
let envoy: Envoy;
before(async () => {
  gateway = await startGrpcSite();
  envoy = new Envoy(grpcPort(gateway.logs) as number);
});
after(async () => {
  envoy[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
});

/** The status the call ends with instead of a message. */
async function refusal(call: Promise<unknown>): Promise<number> {
  try {
    await call;
  } catch (error) {
    return (error as ServiceError).code;
  }
  return grpcCodes.OK;
}

describe('who asks, and how', () => {
  test('a peer that is no trusted proxy is told nothing', async () => {
    await using closed = await startGrpcSite({ server: serverWith({ trustedProxies: ['192.0.2.1'] }) });
    using stranger = new Envoy(grpcPort(closed.logs) as number);
    assert.equal(await refusal(stranger.check({ path: '/public/x' })), grpcCodes.PERMISSION_DENIED);
    assert.doesNotMatch(await closed.metrics(), /vratar_decisions_total\{/);
    const line = closed.logs.find(({ event }) => event === 'grpc.call-refused');
    assert.deepEqual([line?.['status'], line?.['peer']], ['PERMISSION_DENIED', '127.0.0.1']);
  });

  test('bytes that are no message are refused, and never let anything pass', async () => {
    const valid = encodeCheckRequest({ path: '/admin/x', headers: [['accept', '*/*']] });
    const mutated = fc
      .array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 8,
      })
      .map((changes) => {
        const bytes = Buffer.from(valid);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    const arbitrary = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.oneof(arbitrary, mutated), async (bytes) => {
        try {
          assert.notEqual((await envoy.checkMessage(bytes)).code, 0);
        } catch (error) {
          assert.equal((error as ServiceError).code, grpcCodes.INVALID_ARGUMENT);
        }
      }),
      { numRuns: 1_500 },
    );
  });

  test('five hundred calls at once get the answer of their own person', async () => {
    const [alice, ivan] = [await signedIn(gateway, 'alice'), await signedIn(gateway, 'ivan')];
    const people = [
      { visitor: alice, user: 'alice', groups: 'staff' },
      { visitor: ivan, user: 'ivan', groups: 'staff,editors' },
      { visitor: new Visitor(0), user: undefined, groups: undefined },
    ];
    const calls = Array.from({ length: 500 }, async (_, i) => {
      const person = people[i % people.length] as (typeof people)[number];
      const headers = person.user === undefined ? [] : [cookieOf(person.visitor)];
      const answer = await envoy.check({ path: `/page/${i}`, headers });
      assert.equal(answer.headers['remote-user'], person.user);
      assert.equal(answer.headers['remote-groups'], person.groups);
      assert.equal(answer.code, person.user === undefined ? grpcCodes.UNAUTHENTICATED : 0);
    });
    assert.equal((await Promise.all(calls)).length, 500);
  });

  test('decisions and answers are counted under their own names', async () => {
    await envoy.check({ headers: [cookieOf(await signedIn(gateway, 'alice'))] });
    assert.equal(await refusal(envoy.checkMessage(Buffer.from([0x0a, 0x7f]))), grpcCodes.INVALID_ARGUMENT);
    const metrics = await gateway.metrics();
    assert.match(
      metrics,
      /vratar_decisions_total\{application="app",dialect="grpc",decision="allow",reason="conditions-met"\} \d/,
    );
    assert.match(
      metrics,
      /vratar_http_requests_total\{listener="grpc",surface="forward_auth",code="200"\} \d/,
    );
    assert.match(
      metrics,
      /vratar_http_requests_total\{listener="grpc",surface="forward_auth",code="400"\} \d/,
    );
  });
});

describe('while the store of the sessions does not answer', () => {
  test('nobody new passes, nobody is told to sign in, and whoever was known goes on', async () => {
    await using real = await startGatewayProcess({ ...siteConfig(), server: serverWith({ workers: 1 }) });
    using asking = new Envoy(await until(() => grpcPort(real.logs)));
    const visitor = new Visitor(real.port, [['Host', 'app.example.test']]);
    await visitor.signIn('alice', await real.passwordOf('alice'));
    const known: Asked = { headers: [cookieOf(visitor), ['accept', 'text/html']] };
    assert.equal((await asking.check(known)).code, 0);
    const unknown: Asked = {
      headers: [
        ['cookie', `vratar=${'A'.repeat(43)}`],
        ['accept', 'text/html'],
      ],
    };
    const primary = real.child.pid as number;
    process.kill(primary, 'SIGSTOP');
    try {
      const answer = await asking.check(unknown);
      assert.deepEqual([answer.code, answer.status], [grpcCodes.UNAVAILABLE, 503]);
      assert.match(answer.headers['Retry-After'] as string, /^\d+$/);
      assert.equal(answer.headers['Set-Cookie'], undefined);
      assert.equal((await asking.check(known)).headers['remote-user'], 'alice');
    } finally {
      process.kill(primary, 'SIGCONT');
    }
    await until(async () => (await asking.check(unknown)).status === 302, { what: 'the recovery' });
  });
});

test('a gateway that stops answers what is asked, and lets go of connections that Envoy keeps open', async () => {
  await using real = await startGatewayProcess({ ...siteConfig(), server: serverWith({ workers: 2 }) });
  using asking = new Envoy(await until(() => grpcPort(real.logs)));
  const page: Asked = { path: '/public/x' };
  assert.equal((await asking.check(page)).code, 0);
  const asked = Array.from({ length: 50 }, async () => (await asking.check(page)).code);
  const startedAt = performance.now();
  const [exitCode, codes] = await Promise.all([real.stop(), Promise.allSettled(asked)]);
  assert.equal(exitCode, 0);
  // drainTimeout is 30 s: a connection that nobody ended would have been cut only then.
  assert.ok(performance.now() - startedAt < 15_000);
  for (const code of codes) if (code.status === 'fulfilled') assert.equal(code.value, 0);
});

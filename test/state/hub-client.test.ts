/** What a worker notices of a primary that hangs, dies or comes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { storedSession } from '#test/contract/session-store-contract.ts';
import { forkHub } from '#test/state/forked-hub.ts';
import { until } from '#test/support/until.ts';

function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'SESSION_STORE_UNAVAILABLE';
}

describe('a worker', () => {
  test('is told within the deadline that the primary hangs, then at once, and recovers by itself', async () => {
    await using hub = await forkHub();
    const { sessions, counters } = hub.first;
    const session = storedSession(Date.now());
    await sessions.save(session);
    hub.signal('SIGSTOP');
    const startedAt = performance.now();
    await assert.rejects(sessions.load(session.key), isUnavailable);
    const waitedMs = performance.now() - startedAt;
    assert.ok(waitedMs > 1_000 && waitedMs < 2_500, `${waitedMs} ms`);
    const againAt = performance.now();
    await assert.rejects(sessions.load(session.key), isUnavailable);
    await assert.rejects(counters.reserve([{ scope: 'account', key: 'a' }]), isUnavailable);
    assert.ok(performance.now() - againAt < 200);
    const silentSinceMs = sessions.lastHeardAtMs;
    assert.ok(Date.now() - silentSinceMs > 1_500);
    hub.signal('SIGCONT');
    await until(() => sessions.lastHeardAtMs > silentSinceMs, { what: 'a sign of life' });
    assert.deepEqual(await sessions.load(session.key), session);
  });

  test('hears the primary while it asks for nothing', async () => {
    await using hub = await forkHub();
    const { sessions } = hub.first;
    await until(() => sessions.lastHeardAtMs > 0, { what: 'the first beat' });
    const heardAtMs = sessions.lastHeardAtMs;
    await until(() => sessions.lastHeardAtMs > heardAtMs, { what: 'the next beat' });
  });

  test('is told at once that the primary died', async () => {
    await using hub = await forkHub();
    const { sessions } = hub.first;
    await sessions.count();
    hub.signal('SIGSTOP');
    const waiting = assert.rejects(sessions.count(), isUnavailable);
    const killedAt = performance.now();
    await hub.kill();
    await waiting;
    await assert.rejects(sessions.count(), isUnavailable);
    assert.ok(performance.now() - killedAt < 1_000);
  });
});

/** Ending sessions: everywhere, for good, and also while the store is away. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { createPrincipal, SessionFixture } from '#test/session/fixture.ts';
import { until } from '#test/support/until.ts';

function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'SESSION_STORE_UNAVAILABLE';
}

describe('an ended session', () => {
  test('is refused in the other worker within a second', async () => {
    await using fixture = new SessionFixture();
    const [first, second] = [fixture.worker(), fixture.worker()];
    const { ticket } = await first.lifecycle.issue(createPrincipal());
    await second.lifecycle.load(ticket);
    assert.equal(await first.lifecycle.revoke(ticket), 'recorded');
    await until(() => second.lifecycle.cached(ticket, fixture.clock.now()) === undefined, {
      timeoutMs: 1_000,
    });
    assert.equal(await second.lifecycle.load(ticket), undefined);
    assert.equal(await first.lifecycle.load(ticket), undefined);
  });

  test('does not slip in through an answer that arrives together with its ending', async () => {
    await using fixture = new SessionFixture();
    const [first, second] = [fixture.worker(), fixture.worker()];
    const { ticket, session } = await first.lifecycle.issue(createPrincipal());
    await second.client.sessions.count();
    second.held = [];
    const loading = second.lifecycle.load(ticket);
    await until(() => second.held?.length);
    await first.lifecycle.revoke(session);
    // The push to this worker was posted before the other one heard that the ending is recorded.
    second.deliver();
    assert.equal(await loading, undefined);
    assert.equal(second.lifecycle.cached(ticket, fixture.clock.now()), undefined);
  });

  test('is refused here at once while the store is away, and everywhere once it is back', async () => {
    await using fixture = new SessionFixture();
    const [first, second] = [fixture.worker(), fixture.worker()];
    const { ticket, session } = await first.lifecycle.issue(createPrincipal());
    await second.lifecycle.load(ticket);
    first.isCutOff = true;
    assert.equal(await first.lifecycle.revoke(ticket), 'queued');
    assert.equal(first.lifecycle.cached(ticket, fixture.clock.now()), undefined);
    assert.equal(await first.lifecycle.load(ticket), undefined);
    assert.deepEqual(
      fixture.log.of('session.revocation-pending').map(({ audit, sessionKey }) => ({ audit, sessionKey })),
      [{ audit: true, sessionKey: session.key }],
    );
    first.isCutOff = false;
    await until(() => second.lifecycle.cached(ticket, fixture.clock.now()) === undefined);
    assert.equal(await second.lifecycle.load(ticket), undefined);
    await until(() => fixture.log.of('session.revocation-recorded').length === 1);
  });

  test('is ended before the worker leaves', async () => {
    await using fixture = new SessionFixture();
    const [leaving, staying] = [fixture.worker(), fixture.worker()];
    const { ticket } = await leaving.lifecycle.issue(createPrincipal());
    leaving.isCutOff = true;
    assert.equal(await leaving.lifecycle.revoke(ticket), 'queued');
    leaving.isCutOff = false;
    await until(() =>
      leaving.client.sessions.count().then(
        () => true,
        () => false,
      ),
    );
    await leaving.lifecycle[Symbol.asyncDispose]();
    assert.equal(await staying.lifecycle.load(ticket), undefined);
  });
});

describe('while the store is silent', () => {
  test('sessions in memory are served for a minute, then nobody is called signed out', async () => {
    await using fixture = new SessionFixture();
    const worker = fixture.worker();
    const { ticket } = await worker.lifecycle.issue(createPrincipal());
    worker.isCutOff = true;
    const heardAtMs = worker.client.sessions.lastHeardAtMs;
    fixture.clock.set(heardAtMs + 60_000);
    assert.notEqual(worker.lifecycle.cached(ticket, fixture.clock.now()), undefined);
    fixture.clock.advance(1);
    assert.equal(worker.lifecycle.cached(ticket, fixture.clock.now()), undefined);
    await assert.rejects(worker.lifecycle.load(ticket), isUnavailable);
    worker.isCutOff = false;
    await until(() => worker.lifecycle.cached(ticket, fixture.clock.now()), {
      what: 'service after recovery',
    });
  });

  test('a session that is not in memory is "cannot tell", never "not signed in"', async () => {
    await using fixture = new SessionFixture();
    const { ticket } = await fixture.worker().lifecycle.issue(createPrincipal());
    const worker = fixture.worker();
    worker.isCutOff = true;
    await assert.rejects(worker.lifecycle.load(ticket), isUnavailable);
    worker.isCutOff = false;
    await until(() =>
      worker.client.sessions.count().then(
        () => true,
        () => false,
      ),
    );
    assert.notEqual(await worker.lifecycle.load(ticket), undefined);
  });

  test('nobody is signed in without the session being stored', async () => {
    await using fixture = new SessionFixture();
    const worker = fixture.worker();
    worker.isCutOff = true;
    await assert.rejects(worker.lifecycle.issue(createPrincipal()), isUnavailable);
    assert.equal(worker.lifecycle.cachedSessions, 0);
  });

  test('uses are remembered and written back later', async () => {
    await using fixture = new SessionFixture();
    const worker = fixture.worker();
    const { ticket, session } = await worker.lifecycle.issue(createPrincipal());
    worker.isCutOff = true;
    fixture.clock.advance(50_000);
    assert.notEqual(worker.lifecycle.cached(ticket, fixture.clock.now()), undefined);
    fixture.clock.advance(15_000);
    await until(() =>
      worker.client.sessions.count().then(
        () => false,
        () => true,
      ),
    );
    worker.isCutOff = false;
    const lastUsed = async () => (await fixture.hub.sessions.load(session.key))?.lastUsedAtMs;
    await until(async () => (await lastUsed()) === session.authenticatedAtMs + 50_000);
  });
});

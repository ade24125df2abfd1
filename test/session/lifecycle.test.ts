/** Serving, loading, issuing and ending of sessions, with the primary behind a channel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTicket, toSessionKey } from '#src/session/ticket.ts';
import { createPrincipal, hourMs, minuteMs, SessionFixture } from '#test/session/fixture.ts';
import { until } from '#test/support/until.ts';

describe('a session', () => {
  test('carries the person it was issued for, in every worker', async () => {
    await using fixture = new SessionFixture();
    const [first, second] = [fixture.worker(), fixture.worker()];
    const principal = createPrincipal();
    const { ticket, session } = await first.lifecycle.issue(principal);
    assert.deepEqual(session.principal, principal);
    assert.equal(first.lifecycle.cached(ticket, fixture.clock.now()), session);
    const loaded = await second.lifecycle.load(ticket);
    assert.deepEqual(loaded?.principal, principal);
    assert.equal(loaded?.authenticatedAtMs, session.authenticatedAtMs);
    assert.equal(loaded?.expiresAtMs, session.expiresAtMs);
    assert.equal(second.lifecycle.cached(ticket, fixture.clock.now()), loaded);
  });

  test('gets a new ticket at every sign-in, and the browser loses the old one', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker();
    const before = await lifecycle.issue(createPrincipal());
    const after = await lifecycle.issue(createPrincipal(), before.ticket);
    assert.notEqual(after.ticket, before.ticket);
    assert.equal(lifecycle.cached(before.ticket, fixture.clock.now()), undefined);
    assert.equal(await lifecycle.load(before.ticket), undefined);
    assert.equal((await lifecycle.load(after.ticket))?.key, after.session.key);
  });

  test('is not opened by a ticket that was planted before sign-in', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker();
    const planted = createTicket();
    assert.equal(await lifecycle.load(planted), undefined);
    const { ticket } = await lifecycle.issue(createPrincipal(), planted);
    assert.notEqual(ticket, planted);
    assert.equal(await lifecycle.load(planted), undefined);
  });

  test('shares its groups with the sessions of others', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker();
    const one = await lifecycle.issue(createPrincipal());
    const two = await lifecycle.issue(createPrincipal({ subject: 'somebody-else' }));
    assert.equal(one.session.principal.groups[0], two.session.principal.groups[0]);
  });

  test('ends when nobody used it for the idle time', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker();
    const { ticket } = await lifecycle.issue(createPrincipal());
    await fixture.advance(hourMs - 1);
    assert.notEqual(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    await fixture.advance(hourMs);
    assert.equal(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    assert.equal(await lifecycle.load(ticket), undefined);
  });

  test('lives on in a worker that has not seen it while another one serves it', async () => {
    await using fixture = new SessionFixture();
    const [busy, quiet] = [fixture.worker(), fixture.worker()];
    const { ticket } = await busy.lifecycle.issue(createPrincipal());
    await quiet.lifecycle.load(ticket);
    for (let i = 0; i < 2; i++) {
      await fixture.advance(40 * minuteMs);
      await until(() => busy.lifecycle.cached(ticket, fixture.clock.now()));
      const usedAtMs = fixture.clock.now();
      const key = toSessionKey(ticket);
      await until(async () => (await fixture.hub.sessions.load(key))?.lastUsedAtMs === usedAtMs);
    }
    assert.equal(quiet.lifecycle.cached(ticket, fixture.clock.now()), undefined);
    assert.notEqual(await quiet.lifecycle.load(ticket), undefined);
    assert.notEqual(quiet.lifecycle.cached(ticket, fixture.clock.now()), undefined);
  });

  test('ends at its absolute end however busily it is used', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker();
    const { ticket, session } = await lifecycle.issue(createPrincipal());
    while (fixture.clock.now() + 30 * minuteMs < session.expiresAtMs) {
      await fixture.advance(30 * minuteMs);
      await until(() => lifecycle.cached(ticket, fixture.clock.now()));
    }
    await fixture.advance(session.expiresAtMs - 1 - fixture.clock.now());
    assert.notEqual(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    await fixture.advance(1);
    assert.equal(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    assert.equal(await lifecycle.load(ticket), undefined);
  });

  test('born in the future opens nothing', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker();
    const { ticket } = await lifecycle.issue(createPrincipal());
    await fixture.advance(-hourMs);
    assert.equal(await fixture.worker().lifecycle.load(ticket), undefined);
  });

  test('that a thousand requests ask for at once is loaded once', async () => {
    await using fixture = new SessionFixture();
    const { ticket } = await fixture.worker().lifecycle.issue(createPrincipal());
    const worker = fixture.worker();
    let loads = 0;
    const { sessions } = worker.client;
    const counted = fixture.worker({
      store: Object.create(sessions, {
        load: {
          value: async (key: string) => {
            loads++;
            return await sessions.load(key);
          },
        },
      }) as typeof sessions,
    });
    const requests = Array.from({ length: 1_000 }, async () => await counted.lifecycle.load(ticket));
    const [first, ...rest] = await Promise.all(requests);
    assert.ok(first !== undefined);
    assert.ok(rest.every((session) => session === first));
    assert.equal(loads, 1);
    const unknown = createTicket();
    for (let i = 0; i < 100; i++) assert.equal(await counted.lifecycle.load(unknown), undefined);
    assert.equal(loads, 2);
  });

  test('is looked for only under a well-formed ticket', async () => {
    await using fixture = new SessionFixture();
    const worker = fixture.worker();
    worker.isCutOff = true;
    for (const text of ['', 'x', `${createTicket()}=`, 'ä'.repeat(43)]) {
      assert.equal(await worker.lifecycle.load(text), undefined);
    }
  });

  test('leaves its look-ups in the metrics', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle, metrics } = fixture.worker();
    const { ticket } = await lifecycle.issue(createPrincipal());
    lifecycle.cached(createTicket(), fixture.clock.now());
    for (let i = 0; i < 3; i++) lifecycle.cached(ticket, fixture.clock.now());
    await fixture.advance(2 * hourMs);
    lifecycle.cached(ticket, fixture.clock.now());
    lifecycle.reportMetrics();
    const { body } = await metrics.expose();
    for (const line of ['hit"} 3', 'miss"} 1', 'stale"} 1']) {
      assert.ok(body.includes(`vratar_session_cache_requests_total{result="${line}`), line);
    }
  });

  test('that fell out of a full cache is loaded again', async () => {
    await using fixture = new SessionFixture();
    const { lifecycle } = fixture.worker({ maxCachedSessions: 2 });
    const { ticket } = await lifecycle.issue(createPrincipal());
    for (let i = 0; i < 2; i++) await lifecycle.issue(createPrincipal());
    assert.equal(lifecycle.cachedSessions, 2);
    assert.equal(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    assert.notEqual(await lifecycle.load(ticket), undefined);
  });
});

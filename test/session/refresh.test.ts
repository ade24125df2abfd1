/** Reading groups and status again, behind the back of the requests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatewayError } from '#src/errors.ts';
import type { RefreshOutcome } from '#src/identity/outcome.ts';
import type { Principal } from '#src/identity/principal.ts';
import { toStoredPrincipal } from '#src/session/codec.ts';
import type { Refresher } from '#src/session/refresh.ts';
import { createPrincipal, minuteMs, SessionFixture } from '#test/session/fixture.ts';
import { until } from '#test/support/until.ts';

/** A provider that answers when the test says so, and counts how often it was asked. */
function controlledRefresher(): {
  refresher: Refresher;
  calls: Principal[];
  answer: (outcome: RefreshOutcome | Error) => void;
} {
  const calls: Principal[] = [];
  const waiting: ((outcome: RefreshOutcome | Error) => void)[] = [];
  return {
    calls,
    refresher: async (principal) => {
      calls.push(principal);
      return await new Promise((resolve, reject) => {
        waiting.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
      });
    },
    answer: (outcome) => {
      for (const settle of waiting.splice(0)) settle(outcome);
    },
  };
}

const unavailable = new GatewayError('PROVIDER_UNAVAILABLE', 'the directory is away');
const promoted = createPrincipal({ roles: ['editor', 'admin'] });

describe('a refresh that is due', () => {
  test('is made once for a thousand simultaneous requests, cold cache, and nobody waits', async () => {
    await using fixture = new SessionFixture();
    const { ticket } = await fixture.worker().lifecycle.issue(createPrincipal());
    await fixture.advance(6 * minuteMs);
    const provider = controlledRefresher();
    const { lifecycle } = fixture.worker({ refresher: provider.refresher });
    const requests = Array.from({ length: 1_000 }, async () => {
      return lifecycle.cached(ticket, fixture.clock.now()) ?? (await lifecycle.load(ticket));
    });
    const served = await Promise.all(requests);
    assert.ok(served.every((session) => session?.principal.roles.length === 1));
    for (let i = 0; i < 1_000; i++) assert.ok(lifecycle.cached(ticket, fixture.clock.now()) !== undefined);
    await until(() => provider.calls.length > 0);
    provider.answer({ kind: 'current', principal: promoted, stale: false });
    await until(() => lifecycle.cached(ticket, fixture.clock.now())?.principal.roles.length === 2);
    assert.equal(provider.calls.length, 1);
  });

  test('reaches the other workers, which do not ask again', async () => {
    await using fixture = new SessionFixture();
    const provider = controlledRefresher();
    const workers = Array.from({ length: 3 }, () => fixture.worker({ refresher: provider.refresher }));
    const [first] = workers;
    assert.ok(first !== undefined);
    const { ticket } = await first.lifecycle.issue(createPrincipal());
    for (const { lifecycle } of workers) await lifecycle.load(ticket);
    await fixture.advance(6 * minuteMs);
    for (const { lifecycle } of workers) lifecycle.cached(ticket, fixture.clock.now());
    await until(() => provider.calls.length > 0);
    provider.answer({ kind: 'current', principal: promoted, stale: false });
    for (const { lifecycle } of workers) {
      await until(() => lifecycle.cached(ticket, fixture.clock.now())?.principal.roles.includes('admin'));
    }
    assert.equal(provider.calls.length, 1);
  });

  test('is made once for two sessions of one person', async () => {
    await using fixture = new SessionFixture();
    const provider = controlledRefresher();
    const { lifecycle } = fixture.worker({ refresher: provider.refresher });
    const [desk, phone] = [
      await lifecycle.issue(createPrincipal()),
      await lifecycle.issue(createPrincipal()),
    ];
    await fixture.advance(6 * minuteMs);
    lifecycle.cached(desk.ticket, fixture.clock.now());
    lifecycle.cached(phone.ticket, fixture.clock.now());
    await until(() => provider.calls.length > 0);
    provider.answer({ kind: 'current', principal: promoted, stale: false });
    for (const { session } of [desk, phone]) await until(() => session.principal.roles.includes('admin'));
    assert.equal(provider.calls.length, 1);
  });

  test('ends every session of a person who may no longer be signed in', async () => {
    await using fixture = new SessionFixture();
    const [first, second] = [
      fixture.worker({ refresher: async () => ({ kind: 'ended', reason: 'account-disabled' }) }),
      fixture.worker(),
    ];
    const desk = await first.lifecycle.issue(createPrincipal());
    const phone = await second.lifecycle.issue(createPrincipal());
    const neighbour = await second.lifecycle.issue(createPrincipal({ subject: 'somebody-else' }));
    await fixture.advance(6 * minuteMs);
    assert.notEqual(first.lifecycle.cached(desk.ticket, fixture.clock.now()), undefined);
    await until(() => first.lifecycle.cached(desk.ticket, fixture.clock.now()) === undefined);
    await until(() => second.lifecycle.cached(phone.ticket, fixture.clock.now()) === undefined);
    assert.equal(await second.lifecycle.load(phone.ticket), undefined);
    assert.notEqual(second.lifecycle.cached(neighbour.ticket, fixture.clock.now()), undefined);
    const [line] = await until(() => {
      const lines = fixture.log.of('session.ended');
      return lines.length > 0 ? lines : undefined;
    });
    assert.equal(line?.['audit'], true);
    assert.equal(line?.['reason'], 'account-disabled');
    assert.equal(line?.['account'], 'nina');
    assert.equal(line?.['sessions'], 2);
  });
});

describe('a provider that is away', () => {
  test('is not asked at every request, and the session goes on', async () => {
    await using fixture = new SessionFixture();
    let calls = 0;
    const refresher: Refresher = async () => {
      calls++;
      throw unavailable;
    };
    const { lifecycle } = fixture.worker({ refresher });
    const { ticket } = await lifecycle.issue(createPrincipal());
    await fixture.advance(6 * minuteMs);
    for (let i = 0; i < 20; i++) {
      assert.notEqual(lifecycle.cached(ticket, fixture.clock.now()), undefined);
      await until(() => calls > 0);
    }
    assert.equal(calls, 1);
    await until(() => fixture.log.of('session.refresh-failed').length === 1);
    await fixture.advance(minuteMs);
    assert.notEqual(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    await until(() => calls === 2);
  });

  test('keeps people signed in only for as long as their last confirmation counts, then nobody can tell', async () => {
    await using fixture = new SessionFixture();
    const provider = controlledRefresher();
    const { lifecycle } = fixture.worker({
      refresher: provider.refresher,
      unconfirmedForMs: () => 10 * minuteMs,
    });
    const { ticket, session } = await lifecycle.issue(createPrincipal());
    await fixture.advance(6 * minuteMs);
    lifecycle.cached(ticket, fixture.clock.now());
    await until(() => provider.calls.length === 1);
    provider.answer(unavailable);
    await until(() => session.servedUntilMs < session.expiresAtMs);
    await fixture.advance(4 * minuteMs - 1);
    assert.equal(lifecycle.cached(ticket, fixture.clock.now()), session);
    await until(() => provider.calls.length === 2);
    provider.answer(unavailable);
    await fixture.advance(minuteMs);
    assert.equal(lifecycle.cached(ticket, fixture.clock.now()), undefined);
    await assert.rejects(
      lifecycle.load(ticket),
      (error) => error instanceof GatewayError && error.code === 'PROVIDER_UNAVAILABLE',
    );
    await until(() => provider.calls.length === 3);
    provider.answer({ kind: 'current', principal: promoted, stale: false });
    await until(() => lifecycle.cached(ticket, fixture.clock.now())?.principal.roles.includes('admin'));
  });

  test('and answers from memory keeps people signed in and is asked again soon', async () => {
    await using fixture = new SessionFixture();
    const provider = controlledRefresher();
    const { lifecycle } = fixture.worker({ refresher: provider.refresher, unconfirmedForMs: () => 0 });
    const { ticket, session } = await lifecycle.issue(createPrincipal());
    await fixture.advance(6 * minuteMs);
    lifecycle.cached(ticket, fixture.clock.now());
    await until(() => provider.calls.length === 1);
    provider.answer({ kind: 'current', principal: session.principal, stale: true });
    await fixture.advance(minuteMs);
    await until(
      () => lifecycle.cached(ticket, fixture.clock.now()) === session && provider.calls.length === 2,
    );
    provider.answer({ kind: 'current', principal: promoted, stale: false });
    await until(() => session.principal.roles.includes('admin'));
  });
});

describe('a refresh made elsewhere', () => {
  test('is not lost to an older answer that arrives together with it', async () => {
    await using fixture = new SessionFixture();
    const [first, second] = [fixture.worker(), fixture.worker()];
    const { ticket, session } = await first.lifecycle.issue(createPrincipal());
    await second.client.sessions.count();
    second.held = [];
    const loading = second.lifecycle.load(ticket);
    await until(() => second.held?.length);
    await fixture.hub.sessions.refreshed(session.key, toStoredPrincipal(promoted), fixture.clock.now() + 1);
    // The push was posted before that answered; a turn of the loop delivers it.
    await nextTurn();
    second.deliver();
    assert.deepEqual((await loading)?.principal.roles, ['editor', 'admin']);
  });
});

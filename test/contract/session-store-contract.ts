/** What every session store must do, whatever it is built on. Call it inside a test file with a factory. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import type { SessionEvent, SessionStore, StoredSession } from '#src/state/session-store.ts';
import type { ManualClock } from '#test/support/clock.ts';
import { until } from '#test/support/until.ts';

export interface StoreFixture extends AsyncDisposable {
  readonly store: SessionStore;
  /** A second client of the same store. */
  readonly other: SessionStore;
  /** The store's clock, where the test can move it. */
  readonly clock?: ManualClock;
  /** When the fixture's clocks stand. */
  nowMs(): number;
}

export const contractIdleTimeoutMs = 600_000;

export function storedSession(nowMs: number, changes: Partial<StoredSession> = {}): StoredSession {
  const subject = randomUUID();
  return {
    key: `key-${subject}`,
    principal: {
      provider: 'corp',
      subject,
      username: 'nina',
      displayName: 'Нина Čavić',
      groups: [{ name: 'staff', dn: 'cn=staff,dc=example,dc=com', directory: 'corp' }, { name: 'guests' }],
      roles: ['editor'],
      accessLevel: 'auditor',
      attributes: { department: ['R&D', 'Продажи'] },
    },
    authenticatedAtMs: nowMs,
    expiresAtMs: nowMs + 3_600_000,
    lastUsedAtMs: nowMs,
    refreshedAtMs: nowMs,
    ...changes,
  };
}

export function sessionStoreContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`${name} as a session store`, () => {
    test('gives back what was saved, to every client', async () => {
      await using fixture = await create();
      const session = storedSession(fixture.nowMs());
      await fixture.store.save(session);
      assert.deepEqual(await fixture.store.load(session.key), session);
      assert.deepEqual(await fixture.other.load(session.key), session);
    });

    test('answers undefined for a session it does not know', async () => {
      await using fixture = await create();
      assert.equal(await fixture.store.load('nobody'), undefined);
    });

    test('forgets sessions past their absolute end or idle for too long', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const over = storedSession(nowMs, { expiresAtMs: nowMs - 1 });
      const idle = storedSession(nowMs, { lastUsedAtMs: nowMs - contractIdleTimeoutMs - 1 });
      const alive = storedSession(nowMs, { lastUsedAtMs: nowMs - contractIdleTimeoutMs + 60_000 });
      for (const session of [over, idle, alive]) await fixture.store.save(session);
      assert.equal(await fixture.store.load(over.key), undefined);
      assert.equal(await fixture.store.load(idle.key), undefined);
      assert.equal((await fixture.store.load(alive.key))?.key, alive.key);
    });

    test('refuses a revoked session everywhere and tells every client within a second', async () => {
      await using fixture = await create();
      const session = storedSession(fixture.nowMs());
      const events: SessionEvent[] = [];
      fixture.store.subscribe((event) => events.push(event));
      fixture.other.subscribe((event) => events.push(event));
      await fixture.store.save(session);
      await fixture.store.revoke(session.key);
      assert.equal(await fixture.store.load(session.key), undefined);
      assert.equal(await fixture.other.load(session.key), undefined);
      await until(() => events.length === 2, { timeoutMs: 1_000, what: 'both pushes' });
      for (const event of events) assert.deepEqual(event, { kind: 'revoked', keys: [session.key] });
    });

    test('never revives a revoked session by saving, touching or refreshing it', async () => {
      await using fixture = await create();
      const session = storedSession(fixture.nowMs());
      await fixture.store.save(session);
      await fixture.store.revoke(session.key);
      assert.equal(await fixture.store.refreshed(session.key, session.principal, fixture.nowMs()), false);
      await fixture.store.touch([[session.key, fixture.nowMs() + 1]]);
      await fixture.store.save(session);
      assert.equal(await fixture.store.load(session.key), undefined);
    });

    test('takes the revocation of an unknown session without complaint', async () => {
      await using fixture = await create();
      await fixture.store.revoke('never-seen');
      assert.equal(await fixture.store.revokePrincipal('corp', 'never-seen'), 0);
    });

    test('ends every session of one person and of nobody else', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const first = storedSession(nowMs);
      const second = storedSession(nowMs, { principal: first.principal });
      const neighbour = storedSession(nowMs);
      const namesake = storedSession(nowMs, { principal: { ...first.principal, provider: 'staff' } });
      for (const session of [first, second, neighbour, namesake]) await fixture.store.save(session);
      const keys: string[] = [];
      fixture.other.subscribe((event) => {
        if (event.kind === 'revoked') keys.push(...event.keys);
      });
      assert.equal(await fixture.store.revokePrincipal('corp', first.principal.subject), 2);
      assert.equal(await fixture.store.load(first.key), undefined);
      assert.equal(await fixture.store.load(second.key), undefined);
      assert.notEqual(await fixture.store.load(neighbour.key), undefined);
      assert.notEqual(await fixture.store.load(namesake.key), undefined);
      await until(() => keys.length === 2, { timeoutMs: 1_000 });
      assert.deepEqual(keys.toSorted(), [first.key, second.key].toSorted());
    });

    test('moves the last use forward and never back', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const session = storedSession(nowMs);
      await fixture.store.save(session);
      await fixture.store.touch([
        [session.key, nowMs + 5_000],
        ['unknown', nowMs],
      ]);
      await fixture.other.touch([[session.key, nowMs + 1_000]]);
      assert.equal((await fixture.store.load(session.key))?.lastUsedAtMs, nowMs + 5_000);
    });

    test('replaces the principal by a refresh and pushes it to every client', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const session = storedSession(nowMs);
      await fixture.store.save(session);
      const pushed: SessionEvent[] = [];
      fixture.other.subscribe((event) => pushed.push(event));
      const principal = { ...session.principal, groups: [{ name: 'directors' }] };
      assert.equal(await fixture.store.refreshed(session.key, principal, nowMs + 1_000), true);
      const expected = { ...session, principal, refreshedAtMs: nowMs + 1_000 };
      assert.deepEqual(await fixture.store.load(session.key), expected);
      await until(() => pushed.length === 1, { timeoutMs: 1_000 });
      assert.deepEqual(pushed[0], { kind: 'refreshed', session: expected });
    });

    test('keeps the newer of two refreshes', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const session = storedSession(nowMs);
      await fixture.store.save(session);
      await fixture.store.refreshed(session.key, { ...session.principal, username: 'newer' }, nowMs + 2_000);
      await fixture.store.refreshed(session.key, { ...session.principal, username: 'older' }, nowMs + 1_000);
      assert.equal((await fixture.store.load(session.key))?.principal.username, 'newer');
    });

    test('lets one caller at a time refresh a session', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const session = storedSession(nowMs);
      await fixture.store.save(session);
      const claims = await Promise.all([
        fixture.store.claimRefresh(session.key, session.refreshedAtMs),
        fixture.other.claimRefresh(session.key, session.refreshedAtMs),
        fixture.store.claimRefresh(session.key, session.refreshedAtMs),
      ]);
      assert.equal(claims.filter((claim) => claim === 'granted').length, 1);
      assert.equal(claims.filter((claim) => claim === 'taken').length, 2);
      await fixture.store.refreshed(session.key, session.principal, nowMs + 1_000);
      const late = await fixture.other.claimRefresh(session.key, session.refreshedAtMs);
      assert.deepEqual(late, { ...session, refreshedAtMs: nowMs + 1_000 });
      assert.equal(await fixture.other.claimRefresh(session.key, nowMs + 1_000), 'granted');
    });

    test('grants no refresh of a session that has ended', async () => {
      await using fixture = await create();
      assert.equal(await fixture.store.claimRefresh('gone', 0), 'taken');
    });

    test('counts the sessions that are alive', async () => {
      await using fixture = await create();
      const nowMs = fixture.nowMs();
      const before = await fixture.store.count();
      const [kept, ended] = [storedSession(nowMs), storedSession(nowMs)];
      await fixture.store.save(kept);
      await fixture.store.save(ended);
      await fixture.store.save(storedSession(nowMs, { expiresAtMs: nowMs }));
      assert.equal(await fixture.store.count(), before + 2);
      await fixture.store.revoke(ended.key);
      await until(async () => (await fixture.store.count()) === before + 1, { timeoutMs: 1_000 });
    });

    test('takes five hundred sessions at once', async () => {
      await using fixture = await create();
      const sessions = Array.from({ length: 500 }, () => storedSession(fixture.nowMs()));
      await Promise.all(sessions.map(async (session) => await fixture.store.save(session)));
      const loaded = await Promise.all(sessions.map(async ({ key }) => await fixture.other.load(key)));
      assert.deepEqual(loaded, sessions);
    });

    test('says when it was last heard', async () => {
      await using fixture = await create();
      await fixture.store.count();
      assert.ok(Math.abs(fixture.store.lastHeardAtMs - fixture.nowMs()) < 10_000);
    });
  });
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createHub, type Hub } from '#src/state/hub.ts';
import type { SessionEvent, StoredSession } from '#src/state/session-store.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { storedSession } from '#test/contract/session-store-contract.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog } from '#test/support/log-lines.ts';

const idleTimeoutMs = 600_000;

function startHub(clock: ManualClock): Hub {
  const { logger } = collectLog();
  return createHub({ directory: ':memory:', clock, logger, idleTimeoutMs, attemptLimits: contractLimits });
}

function sessionOf(
  clock: ManualClock,
  { provider = 'corp', username, key }: { provider?: string; username: string; key: string },
): StoredSession {
  const made = storedSession(clock.now(), { key });
  return {
    ...made,
    principal: { ...made.principal, provider, username, subject: `${username}@${provider}` },
  };
}

async function fill(hub: Hub, clock: ManualClock): Promise<void> {
  for (const [key, provider, username] of [
    ['a1', 'corp', 'alice'],
    ['b1', 'corp', 'bob'],
    ['a2', 'corp', 'alice'],
    ['a3', 'staff', 'Alice'],
    ['o1', 'corp', 'Олег'],
  ] as const) {
    clock.advance(1_000);
    await hub.sessions.save(sessionOf(clock, { key, provider, username }));
  }
}

/** Keys that open a session. */
async function open(hub: Hub): Promise<string[]> {
  const keys = ['a1', 'a2', 'a3', 'b1', 'o1'];
  const loaded = await Promise.all(keys.map(async (key) => await hub.sessions.load(key)));
  return keys.filter((_, i) => loaded[i] !== undefined);
}

describe('who is signed in', () => {
  test('is told by person, those seen last first, and never with a key', async () => {
    const clock = new ManualClock();
    using hub = startHub(clock);
    const startMs = clock.now();
    await fill(hub, clock);
    const overview = await hub.administration.people(10);
    assert.deepEqual([overview.sessions, overview.people], [5, 4]);
    assert.deepEqual(
      overview.listed.map(({ provider, username, sessions }) => `${provider}:${username} ${sessions}`),
      ['corp:Олег 1', 'staff:Alice 1', 'corp:alice 2', 'corp:bob 1'],
    );
    const { authenticatedAtMs, lastUsedAtMs } = overview.listed[2] as (typeof overview.listed)[number];
    assert.deepEqual([authenticatedAtMs, lastUsedAtMs], [startMs + 1_000, startMs + 3_000]);
    assert.doesNotMatch(JSON.stringify(overview), /"(a1|a2|a3|b1|o1)"/);
  });

  test('is cut at the limit, the numbers are not', async () => {
    const clock = new ManualClock();
    using hub = startHub(clock);
    await fill(hub, clock);
    const { sessions, people, listed } = await hub.administration.people(1);
    assert.deepEqual([sessions, people, listed.length], [5, 4, 1]);
  });

  test('leaves out sessions that are over', async () => {
    const clock = new ManualClock();
    using hub = startHub(clock);
    await fill(hub, clock);
    clock.advance(idleTimeoutMs - 1_000);
    const { sessions, listed } = await hub.administration.people(10);
    assert.deepEqual([sessions, listed.map(({ username }) => username)], [1, ['Олег']]);
  });
});

describe('the administrator ends', () => {
  const cases = [
    { name: 'an account in every provider, in any case', account: { username: 'ALICE' }, left: ['b1', 'o1'] },
    {
      name: 'an account of one provider',
      account: { username: 'alice', provider: 'corp' },
      left: ['a3', 'b1', 'o1'],
    },
    { name: 'an account in any alphabet', account: { username: 'ОЛЕГ' }, left: ['a1', 'a2', 'a3', 'b1'] },
    {
      name: 'nobody for a name nobody has',
      account: { username: 'ali' },
      left: ['a1', 'a2', 'a3', 'b1', 'o1'],
    },
    {
      name: 'nobody in a provider nobody has',
      account: { username: 'bob', provider: 'no' },
      left: ['a1', 'a2', 'a3', 'b1', 'o1'],
    },
    { name: 'nobody for a pattern', account: { username: '%' }, left: ['a1', 'a2', 'a3', 'b1', 'o1'] },
  ];
  for (const { name, account, left } of cases) {
    test(name, async () => {
      const clock = new ManualClock();
      using hub = startHub(clock);
      await fill(hub, clock);
      const ended = await hub.administration.revokeAccount({ provider: undefined, ...account });
      assert.equal(ended, 5 - left.length);
      assert.deepEqual(await open(hub), left);
    });
  }

  test('everybody, in portions, and every worker is told of every session', async () => {
    const clock = new ManualClock();
    using hub = startHub(clock);
    const events: SessionEvent[] = [];
    hub.sessions.subscribe((event) => events.push(event));
    const keys = Array.from({ length: 1_234 }, (_, i) => `key-${i}`);
    await Promise.all(
      keys.map(async (key) => await hub.sessions.save(sessionOf(clock, { key, username: `person-${key}` }))),
    );
    assert.equal(await hub.administration.revokeEveryone(), keys.length);
    assert.equal((await hub.administration.people(1)).sessions, 0);
    const told = events.flatMap((event) => (event.kind === 'revoked' ? event.keys : []));
    assert.deepEqual(new Set(told), new Set(keys));
    assert.equal(await hub.administration.revokeEveryone(), 0);
  });
});

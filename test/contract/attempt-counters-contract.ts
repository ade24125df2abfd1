/** What every implementation of the failure counters must do. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import type { AttemptCounters, AttemptLimits, CounterKey } from '#src/state/attempt-counters.ts';

export interface CountersFixture extends AsyncDisposable {
  readonly counters: AttemptCounters;
  readonly other: AttemptCounters;
}

export const contractLimits: AttemptLimits = {
  account: { failures: 3, windowMs: 300_000, lockForMs: 200_000 },
  address: { failures: 6, windowMs: 300_000, lockForMs: 100_000 },
};

export function freshKeys(): { account: CounterKey; address: CounterKey } {
  return {
    account: { scope: 'account', key: randomUUID() },
    address: { scope: 'address', key: randomUUID() },
  };
}

export async function failTimes(counters: AttemptCounters, keys: CounterKey[], times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    assert.equal((await counters.reserve(keys)).kind, 'admitted');
    await counters.fail(keys);
  }
}

export function attemptCountersContract(name: string, create: () => Promise<CountersFixture>): void {
  describe(`${name} as attempt counters`, () => {
    test('locks after the allowed failures, for every client, and says for how long', async () => {
      await using fixture = await create();
      const { account, address } = freshKeys();
      await failTimes(fixture.counters, [account, address], 3);
      const reservation = await fixture.other.reserve([account, address]);
      assert.equal(reservation.kind, 'locked');
      assert.equal(reservation.scope, 'account');
      assert.ok(reservation.retryAfterMs > 190_000 && reservation.retryAfterMs <= 200_000);
    });

    test('counts nothing when one of the keys is locked', async () => {
      await using fixture = await create();
      const { account, address } = freshKeys();
      await failTimes(fixture.counters, [account], 3);
      for (let i = 0; i < 10; i++) await fixture.counters.reserve([address, account]);
      assert.equal((await fixture.counters.reserve([address])).kind, 'admitted');
    });

    test('takes back attempts that did not fail', async () => {
      await using fixture = await create();
      const { account } = freshKeys();
      for (let i = 0; i < 10; i++) {
        assert.equal((await fixture.counters.reserve([account])).kind, 'admitted');
        await fixture.counters.release([account]);
      }
    });

    test('forgets failures after a success', async () => {
      await using fixture = await create();
      const { account } = freshKeys();
      for (let i = 0; i < 5; i++) {
        await failTimes(fixture.counters, [account], 2);
        await fixture.counters.clear([account]);
      }
    });

    test('lets a hundred parallel guesses make no more attempts than failures are allowed', async () => {
      await using fixture = await create();
      const { account } = freshKeys();
      let tried = 0;
      const guesses = Array.from({ length: 100 }, async (_, i) => {
        const counters = i % 2 === 0 ? fixture.counters : fixture.other;
        const { kind } = await counters.reserve([account]);
        if (kind !== 'admitted') return;
        tried++;
        await counters.fail([account]);
      });
      await Promise.all(guesses);
      assert.equal(tried, 3);
    });

    test('lets parallel attempts with the right password wait for each other instead of locking', async () => {
      await using fixture = await create();
      const { account } = freshKeys();
      const attempts = Array.from({ length: 30 }, async () => {
        const { kind } = await fixture.counters.reserve([account]);
        assert.equal(kind, 'admitted');
        await fixture.counters.release([account]);
      });
      await Promise.all(attempts);
      await failTimes(fixture.counters, [account], 3);
    });

    test('answers busy when the attempts under way do not end', async () => {
      await using fixture = await create();
      const { account } = freshKeys();
      for (let i = 0; i < 3; i++) await fixture.counters.reserve([account]);
      assert.deepEqual(await fixture.counters.reserve([account]), { kind: 'busy', scope: 'account' });
    });

    test('keeps the scopes apart', async () => {
      await using fixture = await create();
      const { account } = freshKeys();
      await failTimes(fixture.counters, [account], 3);
      assert.equal(
        (await fixture.counters.reserve([{ scope: 'address', key: account.key }])).kind,
        'admitted',
      );
    });
  });
}

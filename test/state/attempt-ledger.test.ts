/** Windows and locks of the failure counters over time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AttemptLedger } from '#src/state/attempt-ledger.ts';
import { contractLimits, failTimes, freshKeys } from '#test/contract/attempt-counters-contract.ts';
import { ManualClock } from '#test/support/clock.ts';

describe('failures of an account', () => {
  test('are forgotten one by one as they leave the window', async () => {
    const clock = new ManualClock();
    const ledger = new AttemptLedger(clock, contractLimits);
    const { account } = freshKeys();
    await failTimes(ledger, [account], 1);
    clock.advance(299_000);
    await failTimes(ledger, [account], 1);
    clock.advance(2_000);
    await failTimes(ledger, [account], 1);
    await failTimes(ledger, [account], 1);
    assert.equal((await ledger.reserve([account])).kind, 'locked');
  });

  test('lock for as long as configured, and start from nothing afterwards', async () => {
    const clock = new ManualClock();
    const ledger = new AttemptLedger(clock, contractLimits);
    const { account } = freshKeys();
    await failTimes(ledger, [account], 3);
    clock.advance(199_999);
    assert.deepEqual(await ledger.reserve([account]), { kind: 'locked', retryAfterMs: 1, scope: 'account' });
    clock.advance(1);
    await failTimes(ledger, [account], 3);
    assert.equal((await ledger.reserve([account])).kind, 'locked');
  });

  test('include attempts whose worker died before it told the result', async () => {
    const clock = new ManualClock();
    const ledger = new AttemptLedger(clock, contractLimits);
    const { account } = freshKeys();
    for (let i = 0; i < 3; i++) await ledger.reserve([account]);
    clock.advance(15_000);
    assert.equal((await ledger.reserve([account])).kind, 'locked');
  });

  test('are not lengthened by knocking on a locked account', async () => {
    const clock = new ManualClock();
    const ledger = new AttemptLedger(clock, contractLimits);
    const { account } = freshKeys();
    await failTimes(ledger, [account], 3);
    for (let i = 0; i < 20; i++) {
      clock.advance(10_000 - 1);
      assert.equal((await ledger.reserve([account])).kind, 'locked');
    }
    clock.advance(20);
    assert.equal((await ledger.reserve([account])).kind, 'admitted');
  });
});

describe('an attempt that waits for another account key', () => {
  test('goes on when that one is free, after a third key freed it first', async () => {
    const ledger = new AttemptLedger(new ManualClock(), contractLimits);
    const { account: first } = freshKeys();
    const { account: second } = freshKeys();
    for (let i = 0; i < 3; i++) await ledger.reserve([first]);
    for (let i = 0; i < 3; i++) await ledger.reserve([second]);
    const both = ledger.reserve([first, second]);
    await ledger.release([first]);
    await ledger.release([second]);
    assert.deepEqual(await both, { kind: 'admitted' });
  });
});

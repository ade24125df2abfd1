import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createChannelPair } from '#src/state/channel.ts';
import { CredentialTrialLedger } from '#src/state/credential-trials.ts';
import { createHub } from '#src/state/hub.ts';
import { createHubClient } from '#src/state/hub-client.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog } from '#test/support/log-lines.ts';

test('one may try while the others wait, for ten seconds at most', () => {
  const clock = new ManualClock();
  const ledger = new CredentialTrialLedger(clock);
  assert.equal(ledger.begin('a').kind, 'try');
  assert.equal(ledger.begin('a').kind, 'busy');
  assert.equal(ledger.begin('b').kind, 'try');
  clock.advance(10_000);
  assert.equal(ledger.begin('a').kind, 'try');
});

test('after an acceptance or without a verdict the next one may try at once', () => {
  const ledger = new CredentialTrialLedger(new ManualClock());
  for (const end of ['accepted', 'undecided'] as const) {
    assert.equal(ledger.begin('a').kind, 'try');
    ledger.end('a', end);
  }
  assert.equal(ledger.begin('a').kind, 'try');
});

test('refusals last a minute, then twice as long each time, eight minutes at most', () => {
  const clock = new ManualClock();
  const ledger = new CredentialTrialLedger(clock);
  for (const minutes of [1, 2, 4, 8, 8]) {
    assert.equal(ledger.begin('a').kind, 'try');
    ledger.end('a', 'refused');
    assert.deepEqual(ledger.begin('a'), { kind: 'refused', forMs: minutes * 60_000 });
    clock.advance(minutes * 60_000);
  }
});

test('a trial without a verdict does not shorten what follows', () => {
  const clock = new ManualClock();
  const ledger = new CredentialTrialLedger(clock);
  ledger.begin('a');
  ledger.end('a', 'refused');
  clock.advance(60_000);
  ledger.begin('a');
  ledger.end('a', 'undecided');
  ledger.begin('a');
  ledger.end('a', 'refused');
  assert.deepEqual(ledger.begin('a'), { kind: 'refused', forMs: 120_000 });
});

test('an acceptance, or eight minutes of quiet after the refusal, starts anew', () => {
  const clock = new ManualClock();
  const ledger = new CredentialTrialLedger(clock);
  for (const forget of [() => ledger.end('a', 'accepted'), () => clock.advance(60_000 + 480_000)]) {
    ledger.begin('a');
    ledger.end('a', 'refused');
    assert.deepEqual(ledger.begin('a'), { kind: 'refused', forMs: 60_000 });
    forget();
  }
});

test('workers of one hub share trials and the key of fingerprints', async () => {
  const clock = new ManualClock();
  const logger = collectLog().logger;
  using hub = createHub({
    directory: ':memory:',
    clock,
    logger,
    idleTimeoutMs: 60_000,
    attemptLimits: contractLimits,
  });
  const clients = [1, 2].map(() => {
    const [primary, worker] = createChannelPair();
    hub.attach(primary);
    return createHubClient({ channel: worker, clock });
  });
  const [first, second] = clients.map(({ trials }) => trials);
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual(await first.trialKey(), await second.trialKey());
  assert.equal((await first.trialKey()).length, 32);
  assert.equal((await first.beginTrial('a')).kind, 'try');
  assert.equal((await second.beginTrial('a')).kind, 'busy');
  await first.endTrial('a', 'refused');
  assert.equal((await second.beginTrial('a')).kind, 'refused');
  for (const client of clients) client[Symbol.dispose]();
});

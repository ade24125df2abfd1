import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createChannelPair } from '#src/state/channel.ts';
import { createHub } from '#src/state/hub.ts';
import { createHubClient } from '#src/state/hub-client.ts';
import { formKeptForMs, KeptFormLedger, type KeptFormLimits } from '#src/state/kept-forms.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog } from '#test/support/log-lines.ts';

const limits: KeptFormLimits = { forms: 4, bytes: 8_192, formsPerAddress: 3, bytesPerAddress: 4_096 };

function form(id: string, bytes = 8, replaces?: string) {
  return { id, sealed: new Uint8Array(bytes).fill(7), replaces };
}

describe('the ledger of kept forms', () => {
  test('keeps a form for five minutes and not longer', () => {
    const clock = new ManualClock();
    const ledger = new KeptFormLedger(clock);
    assert.ok(ledger.keep(form('a'), '192.0.2.1'));
    clock.advance(formKeptForMs - 1);
    assert.deepEqual(ledger.find('a'), form('a').sealed);
    clock.advance(1);
    assert.equal(ledger.find('a'), undefined);
    assert.equal(ledger.drop('a'), false);
  });

  test('is looked at often, and given away once', () => {
    const ledger = new KeptFormLedger(new ManualClock());
    ledger.keep(form('a'), '192.0.2.1');
    assert.ok(ledger.find('a') !== undefined && ledger.find('a') !== undefined);
    assert.equal(ledger.drop('a'), true);
    assert.equal(ledger.drop('a'), false);
    assert.equal(ledger.find('a'), undefined);
  });

  test('has one form per browser: the next one takes its place', () => {
    const ledger = new KeptFormLedger(new ManualClock(), { ...limits, forms: 1 });
    assert.ok(ledger.keep(form('a'), '192.0.2.1'));
    assert.ok(!ledger.keep(form('b'), '192.0.2.1'));
    assert.ok(ledger.keep(form('b', 8, 'a'), '192.0.2.1'));
    assert.equal(ledger.find('a'), undefined);
    assert.ok(ledger.find('b') !== undefined);
  });

  test('refuses what is too much, of one address and of all, and never pushes others out', () => {
    const ledger = new KeptFormLedger(new ManualClock(), limits);
    for (const id of ['a', 'b', 'c']) assert.ok(ledger.keep(form(id), '192.0.2.1'), id);
    assert.ok(!ledger.keep(form('d'), '192.0.2.1'), 'a fourth of one address');
    assert.ok(!ledger.keep(form('a'), '192.0.2.2'), 'an id that is taken');
    assert.ok(!ledger.keep(form('d', 4_096), '192.0.2.2'), 'too many bytes of one address');
    assert.ok(ledger.keep(form('d'), '192.0.2.2'));
    assert.ok(!ledger.keep(form('e'), '192.0.2.3'), 'a fifth of all');
    for (const id of ['a', 'b', 'c', 'd']) assert.ok(ledger.find(id) !== undefined, id);
  });

  test('counts bytes of all, and has room again for what was given away or is over', () => {
    const clock = new ManualClock();
    const wide = { forms: 100, bytes: 4_096, formsPerAddress: 100, bytesPerAddress: 4_096 };
    const ledger = new KeptFormLedger(clock, wide);
    const large = 3_000;
    assert.ok(ledger.keep(form('a', large), '192.0.2.1'));
    assert.ok(!ledger.keep(form('b', large), '192.0.2.2'));
    ledger.drop('a');
    assert.ok(ledger.keep(form('b', large), '192.0.2.1'));
    clock.advance(formKeptForMs);
    assert.ok(ledger.keep(form('c', large), '192.0.2.1'));
    // Even empty forms have a price.
    assert.ok(ledger.keep(form('d', 0), '192.0.2.2'));
    assert.ok(!ledger.keep(form('e', 0), '192.0.2.2'));
  });

  test('holds no more memory than the form itself', () => {
    const ledger = new KeptFormLedger(new ManualClock());
    const message = new Uint8Array(1_000_000);
    ledger.keep({ id: 'a', sealed: message.subarray(10, 20), replaces: undefined }, '192.0.2.1');
    assert.equal(ledger.find('a')?.buffer.byteLength, 10);
  });
});

test('workers share forms and the salt of their keys, which is another one after a restart', async () => {
  const clock = new ManualClock();
  const start = () =>
    createHub({
      directory: ':memory:',
      clock,
      logger: collectLog().logger,
      idleTimeoutMs: 60_000,
      attemptLimits: contractLimits,
    });
  using hub = start();
  using restarted = start();
  const clientOf = (of: typeof hub) => {
    const [primary, worker] = createChannelPair();
    of.attach(primary);
    return createHubClient({ channel: worker, clock });
  };
  using one = clientOf(hub);
  using other = clientOf(hub);
  using later = clientOf(restarted);
  assert.ok(await one.forms.keepForm(form('a'), '192.0.2.1'));
  assert.deepEqual(await other.forms.findForm('a'), form('a').sealed);
  assert.equal(await later.forms.findForm('a'), undefined);
  const salt = Buffer.from(await one.forms.formSalt());
  assert.equal(salt.length, 32);
  assert.ok(salt.equals(await other.forms.formSalt()));
  assert.ok(!salt.equals(await later.forms.formSalt()));
  const taken = await Promise.all([one.forms.dropForm('a'), other.forms.dropForm('a')]);
  assert.deepEqual(
    taken.toSorted((one, other) => Number(one) - Number(other)),
    [false, true],
  );
});

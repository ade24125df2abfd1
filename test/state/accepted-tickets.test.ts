import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AcceptedTicket, AcceptedTicketLedger } from '#src/state/accepted-tickets.ts';
import { ManualClock } from '#test/support/clock.ts';

const ticket: AcceptedTicket = {
  principal: 'alice@TEST.LOCAL',
  service: 'HTTP/gw@TEST.LOCAL',
  reply: 'oQ==',
};

test('a ticket is recalled for ten seconds, counted from the first time', () => {
  const clock = new ManualClock();
  const ledger = new AcceptedTicketLedger(clock);
  assert.equal(ledger.recall('a'), undefined);
  ledger.remember('a', ticket);
  clock.advance(4_000);
  ledger.remember('a', ticket);
  assert.deepEqual(ledger.recall('a'), { ticket, forMs: 6_000 });
  clock.advance(6_000);
  assert.equal(ledger.recall('a'), undefined);
  ledger.remember('a', ticket);
  assert.deepEqual(ledger.recall('a'), { ticket, forMs: 10_000 });
});

test('the oldest is forgotten when there are too many', () => {
  const ledger = new AcceptedTicketLedger(new ManualClock());
  for (let count = 0; count <= 10_000; count++) ledger.remember(String(count), ticket);
  assert.equal(ledger.recall('0'), undefined);
  assert.notEqual(ledger.recall('1'), undefined);
  assert.notEqual(ledger.recall('10000'), undefined);
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createTicket, isTicket, ticketLength, toSessionKey } from '#src/session/ticket.ts';

describe('a ticket', () => {
  test('has 256 bits that differ from one to the next', () => {
    const tickets = Array.from({ length: 1_000 }, createTicket);
    assert.equal(new Set(tickets).size, 1_000);
    for (const ticket of tickets) {
      assert.equal(Buffer.from(ticket, 'base64url').length, 32);
      assert.ok(isTicket(ticket));
    }
  });

  test('has exactly one spelling', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: ticketLength, maxLength: ticketLength, unit: 'binary-ascii' }),
        (text) => {
          const bytes = Buffer.from(text, 'base64url');
          assert.equal(isTicket(text), bytes.length === 32 && bytes.toString('base64url') === text);
        },
      ),
      { numRuns: 2_000 },
    );
    const ticket = createTicket();
    const accepted = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_').filter(
      (last) => isTicket(ticket.slice(0, -1) + last),
    );
    assert.equal(accepted.length, 16);
  });

  const misspelled = [
    { name: 'a letter too few', of: (ticket: string) => ticket.slice(1) },
    { name: 'a letter too many', of: (ticket: string) => `${ticket}A` },
    { name: 'padding', of: (ticket: string) => `${ticket.slice(0, -1)}=` },
    { name: 'the other base64 alphabet', of: (ticket: string) => `+${ticket.slice(1)}` },
    { name: 'a blank', of: (ticket: string) => ` ${ticket.slice(1)}` },
    { name: 'nothing at all', of: () => '' },
  ];
  for (const { name, of } of misspelled) {
    test(`is refused with ${name}`, () => assert.equal(isTicket(of(createTicket())), false));
  }

  test('is known to the store by its SHA-256', () => {
    const ticket = createTicket();
    assert.equal(toSessionKey(ticket), createHash('sha256').update(ticket).digest('base64url'));
  });
});

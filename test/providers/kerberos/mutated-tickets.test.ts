import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMutatedTickets } from './mutated-tickets.ts';

test('changed tickets neither crash the helper nor become somebody else', async () => {
  const { accepted, refused } = await checkMutatedTickets(2_000, 20_261_121);
  // Otherwise the changes would not reach what they are to shake.
  assert.ok(accepted > 0, 'some changes do not matter');
  assert.ok(
    (refused['key-mismatch'] ?? 0) > 0 && (refused['ticket-refused'] ?? 0) > 0,
    JSON.stringify(refused),
  );
});

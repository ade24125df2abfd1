import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { Deadline } from '#src/lib/deadline.ts';

const onEnd = (reason: unknown) => new Error('ended', { cause: reason });
const never = new Promise<never>(() => {});

test('the work’s result or failure comes through, and nothing is left behind', async () => {
  const caller = new AbortController();
  const deadline = new Deadline(1_000, caller.signal);
  assert.equal(await deadline.race(Promise.resolve(7), onEnd), 7);
  await assert.rejects(deadline.race(Promise.reject(new Error('work failed')), onEnd), {
    message: 'work failed',
  });
  assert.equal(getEventListeners(caller.signal, 'abort').length, 0);
  assert.equal(deadline.isOver, false);
});

test('time over ends the wait', async () => {
  const deadline = new Deadline(50, new AbortController().signal);
  await assert.rejects(deadline.race(never, onEnd), { message: 'ended' });
  assert.ok(deadline.remainingMs < 20, `${deadline.remainingMs} ms were left`);
});

test('the signal ends the wait, with its reason', async () => {
  const caller = new AbortController();
  const deadline = new Deadline(60_000, caller.signal);
  const wait = deadline.race(never, onEnd);
  caller.abort('gone');
  await assert.rejects(wait, { message: 'ended', cause: 'gone' });
  await assert.rejects(deadline.race(never, onEnd), { message: 'ended' });
  assert.ok(deadline.isOver);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { afterOwnTime } from '#src/directory/own-time.ts';
import { until } from '#test/support/until.ts';

test('a limit passes while the process can notice', async () => {
  let isOver = false;
  using _limit = afterOwnTime(80, () => {
    isOver = true;
  });
  await turn();
  assert.ok(!isOver);
  await until(() => isOver, { timeoutMs: 30_000, what: 'the limit' });
});

test('an event loop that is held up longer than the limit does not end it', async () => {
  let isOver = false;
  using _limit = afterOwnTime(800, () => {
    isOver = true;
  });
  const freeAt = performance.now() + 1_000;
  while (performance.now() < freeAt);
  // Timers that are due run before this.
  await delay(0);
  await turn();
  assert.ok(!isOver, 'the time in which nothing could be noticed was counted');
  await until(() => isOver, { timeoutMs: 30_000, what: 'the limit' });
});

test('a limit that was ended is never reached', async () => {
  let isOver = false;
  const limit = afterOwnTime(8, () => {
    isOver = true;
  });
  limit[Symbol.dispose]();
  await delay(50);
  assert.ok(!isOver);
});

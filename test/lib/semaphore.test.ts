import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Semaphore } from '#src/lib/semaphore.ts';

test('never more than its places at a time, in order, and a failure gives its place back', async () => {
  const semaphore = new Semaphore(3);
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const results = await Promise.allSettled(
    Array.from(
      { length: 20 },
      async (_, n) =>
        await semaphore.run(async () => {
          started.push(n);
          most = Math.max(most, ++running);
          await turn();
          running--;
          if (n % 4 === 0) throw new Error(`${n}`);
          return n;
        }),
    ),
  );
  assert.equal(most, 3);
  assert.deepEqual(
    started,
    started.toSorted((a, b) => a - b),
  );
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 5);
  assert.equal(await semaphore.run(async () => 'free again'), 'free again');
});

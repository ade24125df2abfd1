import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthPercent } from '#src/session/heap-growth.ts';

const heaps: readonly { readonly usedMiB: number; readonly percent: number; readonly why: string }[] = [
  { usedMiB: 5, percent: 200, why: 'a heap that is nearly empty does not grow without bound' },
  { usedMiB: 40, percent: 100, why: 'a worker without sessions may gather 40 MiB' },
  { usedMiB: 100, percent: 40, why: 'so may one with many' },
  { usedMiB: 1_000, percent: 25, why: 'a large heap is not collected at every moment' },
];
for (const { usedMiB, percent, why } of heaps) {
  test(`${usedMiB} MiB of living objects may grow by ${percent} %: ${why}`, () => {
    assert.equal(growthPercent(usedMiB), percent);
  });
}

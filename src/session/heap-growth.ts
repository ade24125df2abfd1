/**
 * How much garbage the old generation of a worker may gather before V8 collects it: a fixed amount, where V8 knows only
 * shares of what lives. Knows nothing of what is in the heap.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/**
 * Buffers of bodies that pass through count as old garbage too. With a quarter of a small heap as the limit, downloads
 * cost a collection per few hundred kilobytes, which was a quarter of their CPU (bench/proxy.ts); with more than this,
 * a worker full of sessions weighs too much (bench/memory.ts).
 */
const garbageMiB = 40;
const leastPercent = 25;
const mostPercent = 200;
const everyMs = 1_000;

/** In percent of what lives in the heap, as V8 takes it. Rounded, so that it changes seldom. */
export function growthPercent(usedMiB: number): number {
  const percent = Math.round((garbageMiB / usedMiB) * 10) * 10;
  return Math.min(mostPercent, Math.max(leastPercent, percent));
}

/** Keeps the limit of this process in step with its heap. Until then the flag it was started with holds. */
export function boundHeapGrowth(): Disposable {
  let present: number | undefined;
  const timer = setInterval(() => {
    const percent = growthPercent(getHeapStatistics().used_heap_size / 1_048_576);
    if (percent === present) return;
    present = percent;
    // V8 reads this flag anew at every collection.
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  }, everyMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

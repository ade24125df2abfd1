/** How V8 keeps the heap of a worker. Knows what sessions weigh, not who starts the worker. */

/**
 * Arguments for the Node of every worker process. 100,000 sessions are about 95 MiB of live objects; left alone, V8
 * lets the young generation grow to 128 MiB and the old one to twice what lives in it, 420 MiB in all instead of 245
 * (bench/memory.ts). The price is a collection of the old generation per quarter of growth; `heap-growth.ts` lets a
 * heap that is small grow by more.
 */
export const workerHeapFlags: readonly string[] = ['--max-semi-space-size=8', '--heap-growing-percent=25'];

/** Waits for a condition instead of for a guessed time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Polls `condition` until it answers something truthy, and returns that. Fails after `timeoutMs`. */
export async function until<Result>(
  condition: () => Result | Promise<Result>,
  { timeoutMs = 5_000, what = 'the condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<Result>> {
  const endAt = performance.now() + timeoutMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (performance.now() > endAt) throw new Error(`${what} did not come true within ${timeoutMs} ms`);
    await sleep(10);
  }
}

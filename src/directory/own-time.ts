/**
 * A limit in time that this process spent able to notice. While the event loop is held up, an answer that came in time
 * lies unread, and a plain timer would fire before it is read: the server would be blamed for our delay.
 */

const slices = 8;

/** Calls `run` after `ms`, of which each stay away counts as two of eight slices at most. */
export function afterOwnTime(ms: number, run: () => void): Disposable {
  const sliceMs = ms / slices;
  let left = ms;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    left -= Math.min(now - last, 2 * sliceMs);
    last = now;
    if (left > 0) return;
    clearInterval(timer);
    run();
  }, sliceMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

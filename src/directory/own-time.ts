/**
 * A limit in time that this process spent able to notice. While the event loop is held up, an answer that came in time
 * lies unread, and a plain timer would fire before it is read: the server would be blamed for our delay.
 */

const slices = 8;

/**
 * Calls `run` after `ms`, of which each stay away counts as two of eight slices at most; after twice that time in any
 * case, as long as there were some turns in which an answer could have been read.
 */
export function afterOwnTime(ms: number, run: () => void): Disposable {
  const sliceMs = ms / slices;
  const begin = performance.now();
  let left = ms;
  let last = begin;
  let turns = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    left -= Math.min(now - last, 2 * sliceMs);
    last = now;
    turns++;
    if (left > 0 && (turns < slices / 2 || now - begin < 2 * ms)) return;
    clearInterval(timer);
    run();
  }, sliceMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** One instant by which a whole piece of work must have ended, handed down instead of a new timeout at every step. */
import { performance } from 'node:perf_hooks';

export class Deadline {
  readonly #expiresAt: number;
  readonly signal: AbortSignal;

  /** Monotonic: a change of the wall clock neither ends nor prolongs the work. */
  constructor(timeoutMs: number, signal: AbortSignal) {
    this.#expiresAt = performance.now() + timeoutMs;
    this.signal = signal;
  }

  get remainingMs(): number {
    return this.#expiresAt - performance.now();
  }

  /** Expired, or nobody waits any more. */
  get isOver(): boolean {
    return this.signal.aborted || performance.now() >= this.#expiresAt;
  }

  /**
   * Settles with `work`, or rejects with what `onEnd` makes of the reason when time is over or the signal fires.
   * The work itself goes on: whoever does it has limits of its own.
   */
  race<Result>(work: Promise<Result>, onEnd: (reason: unknown) => Error): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const { signal } = this;
      const end = (reason: unknown): void => {
        stop();
        reject(onEnd(reason));
      };
      const abort = (): void => end(signal.reason);
      // Counts from the start of the loop's turn, so it may fire a few milliseconds early: no harm in that.
      const timer = setTimeout(end, Math.max(0, this.remainingMs), undefined);
      const stop = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
      };
      if (signal.aborted) {
        abort();
      } else {
        signal.addEventListener('abort', abort);
      }
      work.then(
        (result) => {
          stop();
          resolve(result);
        },
        (error: unknown) => {
          stop();
          reject(error as Error);
        },
      );
    });
  }
}

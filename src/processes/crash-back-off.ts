/** When a worker that died is replaced: at once after a long life, ever later after short ones. */
import type { Clock } from '../lib/clock.ts';

const shortLifeMs = 5_000;
const firstDelayMs = 100;
const maxDelayMs = 30_000;
/** So many deaths within the window mean that restarting does not help. */
const crashLimit = 5;
const crashWindowMs = 30_000;

export class CrashBackOff {
  readonly #clock: Clock;
  #deathsAtMs: number[] = [];
  #delayMs = firstDelayMs;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A worker that lived for `lifeMs` died. Answers how long to wait before the next one, in milliseconds. */
  died(lifeMs: number): number {
    const nowMs = this.#clock.now();
    this.#deathsAtMs = [...this.#deathsAtMs.filter((atMs) => nowMs - atMs < crashWindowMs), nowMs];
    this.#delayMs = lifeMs < shortLifeMs ? Math.min(this.#delayMs * 2, maxDelayMs) : firstDelayMs;
    return this.#delayMs;
  }

  /** Whether workers die faster than restarting them helps: readiness says so. */
  get isCrashing(): boolean {
    const nowMs = this.#clock.now();
    return this.#deathsAtMs.filter((atMs) => nowMs - atMs < crashWindowMs).length >= crashLimit;
  }
}

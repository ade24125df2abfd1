/**
 * How overloaded a process is, judged by how late its timers fire. It takes seconds to rise and to fall, so that one
 * long task is no overload and the relief that refusing brings is not taken for its end.
 */

/** 0: not at all; each further level gives up more. */
export type Level = 0 | 1 | 2 | 3;

/** A process that is held up while hardly anybody asks is not held up by who asks. */
const leastArrivalsPerSecond = 10;
/** Weight of the newest delay. */
const weight = 0.3;
/** One delay counts at most this many times the threshold. */
const maxWeightOfOne = 4;
const leastLooks = 5;
const riseFirstMs = 1_000;
const riseNextMs = 2_000;
const fallMs = 2_000;

export class OverloadLevel {
  readonly #thresholdMs: number;
  #level: Level = 0;
  #delayMs = 0;
  #looks = 0;
  #arrivals = 0;
  /** When the delay came above the threshold, or fell below half of it; `undefined`: it is in between. */
  #sinceMs: number | undefined;
  #isLate = false;

  constructor(thresholdMs: number) {
    this.#thresholdMs = thresholdMs;
  }

  /** The delay the level was judged by, milliseconds. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** One look: `lateMs` is by how much it came too late, `arrivals` the requests since the last one. */
  look(nowMs: number, lateMs: number, arrivals: number): Level {
    const threshold = this.#thresholdMs;
    this.#delayMs += weight * (Math.min(lateMs, threshold * maxWeightOfOne) - this.#delayMs);
    if (this.#delayMs > threshold) this.#late(nowMs, arrivals);
    else if (this.#delayMs < threshold / 2) this.#calm(nowMs);
    else this.#sinceMs = undefined;
    return this.#level;
  }

  #late(nowMs: number, arrivals: number): void {
    if (!this.#isLate || this.#sinceMs === undefined) {
      this.#begin(nowMs, true);
      return;
    }
    this.#looks++;
    this.#arrivals += arrivals;
    const tookMs = nowMs - this.#sinceMs;
    if (tookMs < (this.#level === 0 ? riseFirstMs : riseNextMs) || this.#looks < leastLooks) return;
    const isAsked = this.#arrivals >= (leastArrivalsPerSecond * tookMs) / 1_000;
    if (isAsked && this.#level < 3) this.#level++;
    this.#begin(nowMs, true);
  }

  #calm(nowMs: number): void {
    if (this.#isLate || this.#sinceMs === undefined) this.#begin(nowMs, false);
    else if (this.#level > 0 && nowMs - this.#sinceMs >= fallMs) {
      this.#level--;
      this.#begin(nowMs, false);
    }
  }

  #begin(nowMs: number, isLate: boolean): void {
    this.#sinceMs = nowMs;
    this.#isLate = isLate;
    this.#looks = 0;
    this.#arrivals = 0;
  }
}

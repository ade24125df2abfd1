/** Accounts a mail server has just refused, which are left alone for a while: more refusals would lock them there. */
import type { Clock } from '../lib/clock.ts';

const holdMs = 5 * 60_000;
const maxHolds = 10_000;

export class Holds {
  readonly #clock: Clock;
  /** Until when, oldest first. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(account: string): boolean {
    const untilMs = this.#until.get(account);
    if (untilMs === undefined) return false;
    if (this.#clock.now() < untilMs) return true;
    this.#until.delete(account);
    return false;
  }

  add(account: string): void {
    this.#until.delete(account);
    this.#until.set(account, this.#clock.now() + holdMs);
    const [oldest] = this.#until.size > maxHolds ? this.#until.keys() : [];
    if (oldest !== undefined) this.#until.delete(oldest);
  }
}

/**
 * Remembers for a moment which tokens were accepted: a front proxy asks several times for one request (nginx for `index` and
 * `try_files`), and the second time the same ticket would be a replay. Bound to the client it came from.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { SingleFlight } from '../../lib/single-flight.ts';
import type { Verdict } from './verdict.ts';

/** Much shorter than the five minutes for which the ticket itself could be presented. */
export const rememberedForMs = 10_000;
const maxRemembered = 10_000;

type Accepted = Extract<Verdict, { kind: 'accepted' }>;

export interface Judgment {
  readonly verdict: Verdict;
  /** How long to remember that it was accepted; default `rememberedForMs`. */
  readonly forMs?: number;
}

interface Remembered {
  readonly verdict: Accepted;
  readonly untilMs: number;
}

export class VerdictCache {
  readonly #clock: Clock;
  readonly #accepted = new LRUCache<string, Remembered>({ max: maxRemembered });
  readonly #flights = new SingleFlight<Verdict>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Who holds a hash of the token learns nothing: it is longer than anybody could try. */
  static keyOf(provider: string, clientAddress: string, token: string): string {
    return hash('sha256', `${provider}\0${clientAddress}\0${token}`, 'base64');
  }

  get(key: string): Accepted | undefined {
    const known = this.#accepted.get(key);
    return known !== undefined && this.#clock.now() < known.untilMs ? known.verdict : undefined;
  }

  /** One judgment for all who bring the token at the same time. Refusals are not remembered: they cost little. */
  judge(key: string, work: () => Promise<Judgment>): Promise<Verdict> {
    return this.#flights.run(key, async () => {
      const { verdict, forMs } = await work();
      if (verdict.kind === 'accepted') {
        this.#accepted.set(key, { verdict, untilMs: this.#clock.now() + (forMs ?? rememberedForMs) });
      }
      return verdict;
    });
  }
}

/**
 * The failure counters in the primary's memory, bounded. Knows keys and numbers, neither accounts nor passwords.
 * Not kept over a restart: an attacker who can restart the gateway needs no guessing.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import type {
  AttemptCounters,
  AttemptLimits,
  CounterKey,
  CounterLimit,
  Reservation,
} from './attempt-counters.ts';

/** Longer than any sign-in may take. */
const unsettledForMs = 15_000;
/** Shorter than the deadline of a call from a worker. */
const waitMs = 1_500;
const maxKeys = 100_000;
const maxWaiting = 10_000;

interface Waiter {
  readonly keys: readonly CounterKey[];
  /** Answers once; also ends the timer. */
  readonly answer: (reservation: Reservation) => void;
  isAnswered: boolean;
}

interface Entry {
  readonly limit: CounterLimit;
  readonly scope: CounterKey['scope'];
  /** Instants, oldest first; never more than `limit.failures` of both together. */
  failedAtMs: number[];
  underWaySinceMs: number[];
  /** 0: not locked. */
  lockedUntilMs: number;
  readonly waiting: Waiter[];
}

type Trial = { readonly reservation: Reservation; readonly blockedBy: Entry | undefined };

export class AttemptLedger implements AttemptCounters {
  readonly #clock: Clock;
  #limits: AttemptLimits;
  readonly #entries = new LRUCache<string, Entry>({ max: maxKeys });
  #waiting = 0;

  constructor(clock: Clock, limits: AttemptLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** For accounts and addresses counted from now on. */
  limit(limits: AttemptLimits): void {
    this.#limits = limits;
  }

  async reserve(keys: readonly CounterKey[]): Promise<Reservation> {
    const { reservation, blockedBy } = this.#try(keys);
    if (blockedBy === undefined || this.#waiting >= maxWaiting) return reservation;
    this.#waiting++;
    return await new Promise<Reservation>((resolve) => {
      const timer = setTimeout(() => waiter.answer(reservation), waitMs);
      const waiter: Waiter = {
        keys,
        isAnswered: false,
        answer: (answer) => {
          if (waiter.isAnswered) return;
          waiter.isAnswered = true;
          this.#waiting--;
          clearTimeout(timer);
          resolve(answer);
        },
      };
      blockedBy.waiting.push(waiter);
    });
  }

  async fail(keys: readonly CounterKey[]): Promise<void> {
    for (const entry of this.#current(keys)) {
      if (entry.underWaySinceMs.pop() !== undefined) entry.failedAtMs.push(this.#clock.now());
      this.#lockWhenFull(entry);
      this.#wake(entry);
    }
  }

  async release(keys: readonly CounterKey[]): Promise<void> {
    for (const entry of this.#current(keys)) {
      // An attempt that took longer than `unsettledForMs` has become a failure meanwhile.
      if (entry.underWaySinceMs.pop() === undefined) entry.failedAtMs.pop();
      this.#wake(entry);
    }
  }

  async clear(keys: readonly CounterKey[]): Promise<void> {
    for (const entry of this.#current(keys)) {
      entry.failedAtMs = [];
      entry.lockedUntilMs = 0;
      this.#wake(entry);
    }
  }

  #try(keys: readonly CounterKey[]): Trial {
    const nowMs = this.#clock.now();
    const entries = keys.map((key) => this.#entry(key));
    for (const { scope, lockedUntilMs } of entries) {
      if (lockedUntilMs === 0) continue;
      const reservation = { kind: 'locked', retryAfterMs: lockedUntilMs - nowMs, scope } as const;
      return { reservation, blockedBy: undefined };
    }
    for (const entry of entries) {
      if (entry.failedAtMs.length + entry.underWaySinceMs.length < entry.limit.failures) continue;
      return { reservation: { kind: 'busy', scope: entry.scope }, blockedBy: entry };
    }
    for (const entry of entries) entry.underWaySinceMs.push(nowMs);
    return { reservation: { kind: 'admitted' }, blockedBy: undefined };
  }

  /** In order of arrival; one that another key blocks waits there. */
  #wake(entry: Entry): void {
    for (let waiter = entry.waiting.shift(); waiter !== undefined; waiter = entry.waiting.shift()) {
      if (waiter.isAnswered) continue;
      const { reservation, blockedBy } = this.#try(waiter.keys);
      if (blockedBy === entry) {
        entry.waiting.unshift(waiter);
        return;
      }
      if (blockedBy === undefined) waiter.answer(reservation);
      else blockedBy.waiting.push(waiter);
    }
  }

  #entry({ scope, key }: CounterKey): Entry {
    const name = `${scope}\0${key}`;
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      const limit = this.#limits[scope];
      entry = { limit, scope, failedAtMs: [], underWaySinceMs: [], lockedUntilMs: 0, waiting: [] };
      this.#entries.set(name, entry);
    }
    this.#forgetOld(entry);
    return entry;
  }

  #current(keys: readonly CounterKey[]): Entry[] {
    return keys.map((key) => this.#entry(key));
  }

  #forgetOld(entry: Entry): void {
    const nowMs = this.#clock.now();
    if (entry.lockedUntilMs !== 0 && entry.lockedUntilMs <= nowMs) {
      entry.lockedUntilMs = 0;
      entry.failedAtMs = [];
    }
    while ((entry.underWaySinceMs[0] ?? nowMs) <= nowMs - unsettledForMs) {
      entry.failedAtMs.push(entry.underWaySinceMs.shift() ?? nowMs);
    }
    this.#lockWhenFull(entry);
    if (entry.lockedUntilMs !== 0) return;
    while ((entry.failedAtMs[0] ?? nowMs) <= nowMs - entry.limit.windowMs) entry.failedAtMs.shift();
  }

  #lockWhenFull(entry: Entry): void {
    if (entry.lockedUntilMs === 0 && entry.failedAtMs.length >= entry.limit.failures) {
      entry.lockedUntilMs = this.#clock.now() + entry.limit.lockForMs;
    }
  }
}

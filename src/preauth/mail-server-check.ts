/**
 * Whether the mail server is up and how far its clock is from ours, asked without an account: a failed sign-in of a real
 * person would count towards locking them out.
 */
import type { GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { Outgoing } from '../lib/outgoing.ts';

export type Probe =
  /** `offsetMs`: what has to be added to our clock to get theirs; `undefined`: the answer carries no date. */
  | { readonly kind: 'up'; readonly offsetMs: number | undefined }
  /** Something answers there, but not Zimbra's preauth service. */
  | { readonly kind: 'other'; readonly status: number }
  | { readonly kind: 'down'; readonly error: GatewayError };

/** Clocks apart by this much are worth a warning. */
export const doubtfulOffsetMs = 60_000;
/** Zimbra refuses beyond five minutes; beyond this much its own clock is used for what it will compare with it. */
export const hopelessOffsetMs = 240_000;

/** `GET /service/preauth` without parameters: a running service names the first one that is missing. */
const target = '/service/preauth';
const sign = 'missing required param: preauth';

/** Never rejects. */
export async function probeMailServer(outgoing: Outgoing, clock: Clock): Promise<Probe> {
  const sentAtMs = clock.now();
  try {
    const { status, headers, body } = await outgoing.request({ method: 'GET', path: target });
    if (status !== 400 || !body.includes(sign)) return { kind: 'other', status };
    const date = Date.parse(typeof headers['date'] === 'string' ? headers['date'] : '');
    if (Number.isNaN(date)) return { kind: 'up', offsetMs: undefined };
    // The field counts whole seconds, cut off: half of one is the best guess of the rest.
    return { kind: 'up', offsetMs: Math.round(date + 500 - (sentAtMs + clock.now()) / 2) };
  } catch (error) {
    // Everything `request` rejects with.
    return { kind: 'down', error: error as GatewayError };
  }
}

/** Repeats the probe and remembers the last answer. */
export class MailServerCheck implements Disposable {
  readonly #probe: () => Promise<Probe>;
  readonly #intervalMs: number;
  readonly #onProbed: (probe: Probe) => void;
  #timer: NodeJS.Timeout | undefined;
  #latest: Probe | undefined;

  /** `intervalMs` 0: never. `onProbed` hears every answer. */
  constructor(probe: () => Promise<Probe>, intervalMs: number, onProbed: (probe: Probe) => void) {
    this.#probe = probe;
    this.#intervalMs = intervalMs;
    this.#onProbed = onProbed;
    if (intervalMs > 0) this.#schedule(0);
  }

  /** `undefined` before the first answer. */
  get latest(): Probe | undefined {
    return this.#latest;
  }

  /** What to add to our clock for values the mail server compares with its own: nothing, unless that would be hopeless. */
  get correctionMs(): number {
    const offsetMs = this.#latest?.kind === 'up' ? (this.#latest.offsetMs ?? 0) : 0;
    return Math.abs(offsetMs) >= hopelessOffsetMs ? offsetMs : 0;
  }

  /** One probe now, beside the schedule. */
  async now(): Promise<Probe> {
    const probe = await this.#probe();
    this.#latest = probe;
    this.#onProbed(probe);
    return probe;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      void this.now().finally(() => {
        // Disposed meanwhile: nothing follows.
        if (this.#timer !== undefined) this.#schedule(this.#intervalMs);
      });
    }, afterMs).unref();
  }
}

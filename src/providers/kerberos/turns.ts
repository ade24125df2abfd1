/** Few tickets at a time and a queue that ends: libkrb5 takes global locks, so more at once only wait inside it. */
import { GatewayError } from '../../errors.ts';

export interface TurnLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

export const turnLimits: TurnLimits = { atOnce: 4, waiting: 256 };

export class Turns {
  readonly #limits: TurnLimits;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limits: TurnLimits = turnLimits) {
    this.#limits = limits;
  }

  /**
   * Settles when it is the caller's turn, who has to `leave` after it; `undefined`: at once. Throws or rejects with
   * GatewayError PROVIDER_UNAVAILABLE when too many wait already, or when nobody waits for the result any more.
   */
  enter(signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) throw overdue(signal);
    if (this.#running >= this.#limits.atOnce) return this.#turn(signal);
    this.#running++;
    return undefined;
  }

  leave(): void {
    const [next] = this.#waiting;
    // The place goes to the next one, so the count stays as it is.
    if (next === undefined) this.#running--;
    else next();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#limits.waiting) {
      throw new GatewayError('PROVIDER_UNAVAILABLE', 'too many tickets wait to be validated', {
        retryAfterSeconds: 1,
      });
    }
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(enter);
        signal.removeEventListener('abort', abort);
      };
      const enter = (): void => {
        leave();
        resolve();
      };
      const abort = (): void => {
        leave();
        reject(overdue(signal));
      };
      this.#waiting.add(enter);
      signal.addEventListener('abort', abort);
    });
  }
}

function overdue(signal: AbortSignal): GatewayError {
  return new GatewayError('PROVIDER_UNAVAILABLE', 'nobody waits for the ticket any more', {
    cause: signal.reason,
    retryAfterSeconds: 1,
  });
}

/**
 * What the workers tell each other of tickets: whoever accepts one says so, and whoever hears "replay" of the library
 * asks whether that was one of us, a moment ago and for the same client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../../errors.ts';
import type { Verdict } from './verdict.ts';

type Accepted = Extract<Verdict, { kind: 'accepted' }>;
type Ticket = Omit<Accepted, 'kind'>;

/** The memory that all workers share, as far as it is used here. */
export interface TicketMemory {
  rememberTicket(fingerprint: string, ticket: Ticket): Promise<void>;
  recallTicket(fingerprint: string): Promise<{ readonly ticket: Ticket; readonly forMs: number } | undefined>;
}

/** The other worker's word may still be on its way, and late on a busy machine; a true replay can wait. */
const recallPausesMs = [0, 20, 60, 120, 300, 500] as const;

export class SharedVerdicts {
  readonly #memory: TicketMemory;

  constructor(memory: TicketMemory) {
    this.#memory = memory;
  }

  /** Nobody waits for it, and a sign-in does not fail with it: at worst the next question is called a replay. */
  remember(fingerprint: string, { principal, service, reply }: Accepted): void {
    this.#memory.rememberTicket(fingerprint, { principal, service, reply }).catch(rethrowUnlessUnavailable);
  }

  /** `undefined`: nobody of us, so it is a replay. */
  async recall(fingerprint: string): Promise<{ verdict: Accepted; forMs: number } | undefined> {
    try {
      for (const pauseMs of recallPausesMs) {
        if (pauseMs > 0) await sleep(pauseMs);
        const found = await this.#memory.recallTicket(fingerprint);
        if (found !== undefined)
          return { verdict: { kind: 'accepted', ...found.ticket }, forMs: found.forMs };
      }
    } catch (error) {
      rethrowUnlessUnavailable(error);
    }
    return undefined;
  }
}

function rethrowUnlessUnavailable(error: unknown): void {
  if (!(error instanceof GatewayError)) throw error;
}

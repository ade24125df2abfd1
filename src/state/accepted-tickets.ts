/**
 * Which Kerberos tickets some worker accepted a moment ago: a front proxy's next question about the same request may
 * reach another worker, where libkrb5 can only call the ticket a replay. Knows fingerprints, never a token.
 */
import type { Clock } from '../lib/clock.ts';

/** What was found out of a ticket. */
export interface AcceptedTicket {
  readonly principal: string;
  readonly service: string;
  readonly reply: string | undefined;
}

/** Throws GatewayError SESSION_STORE_UNAVAILABLE when the primary cannot be reached. */
export interface AcceptedTickets {
  rememberTicket(fingerprint: string, ticket: AcceptedTicket): Promise<void>;
  /** `forMs`: how long it may still be taken for accepted. */
  recallTicket(
    fingerprint: string,
  ): Promise<{ readonly ticket: AcceptedTicket; readonly forMs: number } | undefined>;
}

const rememberedForMs = 10_000;
const maxRemembered = 10_000;

export class AcceptedTicketLedger {
  readonly #clock: Clock;
  /** In order of their end: the first one ends first. */
  readonly #tickets = new Map<string, { readonly ticket: AcceptedTicket; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  remember(fingerprint: string, ticket: AcceptedTicket): void {
    const nowMs = this.#clock.now();
    // A ticket cannot be accepted twice: what is known stays as long as it was to stay.
    if (this.recall(fingerprint) !== undefined) return;
    this.#tickets.delete(fingerprint);
    this.#tickets.set(fingerprint, { ticket, untilMs: nowMs + rememberedForMs });
    for (const [oldest, { untilMs }] of this.#tickets) {
      if (untilMs > nowMs && this.#tickets.size <= maxRemembered) return;
      this.#tickets.delete(oldest);
    }
  }

  recall(fingerprint: string): { readonly ticket: AcceptedTicket; readonly forMs: number } | undefined {
    const known = this.#tickets.get(fingerprint);
    if (known === undefined) return undefined;
    const forMs = known.untilMs - this.#clock.now();
    return forMs > 0 ? { ticket: known.ticket, forMs } : undefined;
  }
}

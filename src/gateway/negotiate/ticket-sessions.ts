/**
 * One session for each Negotiate token. A front proxy asks about one request several times (nginx, for `index` and
 * `try_files`), and hands only the last answer's cookie on: the sessions of the others would belong to nobody.
 */
import { hash } from 'node:crypto';
import type { Principal } from '../../identity/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import type { SessionLifecycle } from '../../session/lifecycle.ts';

/** As long as a verdict about a token is remembered. */
const rememberedForMs = 10_000;
const maxRemembered = 10_000;

interface Opened {
  readonly at: number;
  readonly ticket: Promise<string>;
}

export class TicketSessions {
  readonly #sessions: Pick<SessionLifecycle, 'issue'>;
  readonly #clock: Clock;
  /** In the order in which they were opened. */
  readonly #opened = new Map<string, Opened>();

  constructor(sessions: Pick<SessionLifecycle, 'issue'>, clock: Clock) {
    this.#sessions = sessions;
    this.#clock = clock;
  }

  /**
   * The session ticket for a person, the same one for the same token of the same client. `previous`: the session that
   * ends with it. Rejects with GatewayError SESSION_STORE_UNAVAILABLE.
   */
  async open(
    token: string,
    clientAddress: string,
    principal: Principal,
    previous: string | undefined,
  ): Promise<string> {
    const now = this.#clock.now();
    for (const [key, { at }] of this.#opened) {
      if (now - at < rememberedForMs && this.#opened.size < maxRemembered) break;
      this.#opened.delete(key);
    }
    // Only the hash is kept: a token in memory could be used once more elsewhere.
    const key = hash(
      'sha256',
      `${clientAddress} ${principal.provider} ${principal.subject} ${token}`,
      'base64url',
    );
    const known = this.#opened.get(key);
    if (known !== undefined) return await known.ticket;
    const ticket = this.#sessions.issue(principal, previous).then((issued) => issued.ticket);
    this.#opened.set(key, { at: now, ticket });
    try {
      return await ticket;
    } catch (error) {
      // The next question may find the store again.
      this.#opened.delete(key);
      throw error;
    }
  }
}

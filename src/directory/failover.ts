/**
 * The servers of one directory in configured order: the first that is available is asked, what it cannot answer goes
 * to the next. Decides what may be asked twice; a bind that was answered never is.
 */
import type { GatewayError } from '../errors.ts';
import type { PasswordChangeOutcome } from '../identity/outcome.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Secret } from '../lib/secret.ts';
import type { BindAnswer, SearchRequest } from './connection.ts';
import type { LdapEntry } from './entry.ts';
import { LdapFailure, resultCode, toGatewayError } from './failures.ts';
import type { PasswordChange } from './password-change.ts';
import type { LdapServer } from './server.ts';
import type { ServerList } from './server-list.ts';

/** A firewall may have cut both search connections, open or opening; the third attempt is on a new one. */
const attemptsPerServer = 3;

export class ServerGroup {
  readonly #name: string;
  readonly #list: ServerList;

  constructor(name: string, list: ServerList) {
    this.#name = name;
    this.#list = list;
  }

  /**
   * Reading changes nothing, so it is repeated: on the same server while it counts as available, then on the next. Hot path: bench/ldap.ts. Throws GatewayError.
   */
  async search(request: SearchRequest, deadline: Deadline): Promise<LdapEntry[]> {
    let last: LdapFailure | undefined;
    for (const server of this.#servers ?? (await this.#list.whenKnown())) {
      for (let attempt = 0; server.isAvailable && attempt < attemptsPerServer; attempt++) {
        try {
          return await server.search(request, deadline);
        } catch (error) {
          last = this.#expect(error);
          if (last.isAnswered && last.kind !== 'unavailable' && last.stage === 'operation')
            throw this.#toError(last);
          if (deadline.isOver) throw this.#toError(last);
          if (last.stage === 'waiting' || last.isAnswered) break;
        }
      }
    }
    throw this.#toError(last);
  }

  /**
   * Every bind counts somewhere: failed attempts lock accounts, grace sign-ins are used up. So once it was sent it is
   * repeated at most once, only when no answer came, and on another server if there is one. One that found no
   * connection was not sent. Throws GatewayError.
   */
  async bind(dn: string, password: Secret, deadline: Deadline): Promise<BindAnswer> {
    let last: LdapFailure | undefined;
    let sent = 0;
    let candidates = this.#servers ?? (await this.#list.whenKnown());
    for (let attempt = 0; attempt < attemptsPerServer && candidates.length > 0; attempt++) {
      const again: LdapServer[] = [];
      for (const server of candidates) {
        if (!server.isAvailable) continue;
        try {
          return await server.bind(dn, password, deadline);
        } catch (error) {
          last = this.#expect(error);
          if (last.isAnswered && last.stage === 'operation') throw this.#toError(last);
          if (last.stage === 'operation') sent++;
          if (sent > 1 || deadline.isOver) throw this.#toError(last);
          if (last.stage !== 'waiting' && !last.isAnswered) again.push(server);
        }
      }
      candidates = again;
    }
    throw this.#toError(last);
  }

  /**
   * Like a bind until the new password is sent; from then on no other server is asked, for nobody knows which password
   * counts. A server that only has a copy passes it on: its referral is not followed, the next server is asked.
   * Throws GatewayError.
   */
  async changePassword(change: PasswordChange, deadline: Deadline): Promise<PasswordChangeOutcome> {
    let last: LdapFailure | undefined;
    let sent = 0;
    for (const server of this.#servers ?? (await this.#list.whenKnown())) {
      if (!server.isAvailable) continue;
      try {
        return await server.changePassword(change, deadline);
      } catch (error) {
        last = this.#expect(error);
        const isReferral = last.resultCode === resultCode.referral;
        if (change.isSent && !isReferral) throw this.#toError(last);
        if (last.isAnswered && last.stage === 'operation' && !isReferral) throw this.#toError(last);
        if (last.stage === 'operation') sent++;
        if (sent > 1 || deadline.isOver) throw this.#toError(last);
      }
    }
    throw this.#toError(last);
  }

  /** `undefined`: DNS has not named any yet. */
  get #servers(): readonly LdapServer[] | undefined {
    const { current } = this.#list;
    return current.length > 0 ? current : undefined;
  }

  #expect(error: unknown): LdapFailure {
    if (error instanceof LdapFailure) return error;
    throw error;
  }

  /** An answer counts as given; otherwise the mildest of what the servers suffer from: one of them may come back. */
  #toError(failure: LdapFailure | undefined): GatewayError {
    const servers = this.#list.current;
    if (!servers.some((server) => server.isAvailable)) this.#list.noneAvailable();
    const waits = servers.length === 0 ? [0] : servers.map((server) => server.retryInMs);
    const retryAfterSeconds = Math.min(30, Math.max(1, Math.ceil(Math.min(...waits) / 1_000)));
    const failures = servers.map((server) => server.failure);
    const isAnswer = failure?.isAnswered === true && failure.stage === 'operation';
    const cause =
      isAnswer || failures.includes(undefined)
        ? failure
        : (['unavailable', 'protocol', 'config'] as const)
            .map((kind) => failures.find((each) => each?.kind === kind))
            .find((each) => each !== undefined);
    return toGatewayError(
      cause ?? new LdapFailure('no server is available', { kind: 'unavailable', stage: 'waiting' }),
      this.#name,
      retryAfterSeconds,
    );
  }
}

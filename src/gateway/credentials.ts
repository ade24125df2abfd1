/** Finds out who a request is from, by what its application accepts: a session, a password with every request, a ticket. */
import type { Exchange, FlatHeaders } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { NegotiateCredential } from '../identity/credential.ts';
import type { Principal } from '../identity/principal.ts';
import type { RememberedSignIn, RequestSignIn } from '../providers/request-sign-in.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { SessionLifecycle } from '../session/lifecycle.ts';
import type { Session } from '../session/session.ts';
import type { ProtectedApplication } from './application.ts';
import { isBasic, readBasic } from './credentials/basic.ts';
import { isNegotiate, readNegotiate } from './credentials/negotiate.ts';
import { sessionOf } from './credentials/session-of.ts';
import type { Negotiation, TicketRefusal } from './negotiate/negotiation.ts';

/** Who a request is from, and how long that may be relied on without asking again; milliseconds since the epoch. */
export interface Identified extends Pick<Session, 'servedUntilMs' | 'refreshDueAtMs'> {
  /** `undefined`: anonymous, with a ticket that was refused. */
  readonly principal: Principal | undefined;
  /** Only of a request that came with a Negotiate token which was looked at. */
  readonly ticket?: TicketEffect;
}

/** What a Negotiate token means for the answer. */
export type TicketEffect =
  | TicketRefusal
  | {
      readonly kind: 'accepted';
      /** Headers of an allowing answer; opens the session, where the application takes one. */
      readonly admit: () => Promise<FlatHeaders>;
    };

type Visit = Pick<Exchange, 'head' | 'clientAddress' | 'startedAtMs'>;

export interface CredentialsOptions {
  readonly sessions: SessionLifecycle;
  readonly sessionCookie: SessionCookie;
  readonly requestSignIn: RequestSignIn;
  /** `undefined`: no provider takes tickets. */
  readonly negotiation: Negotiation | undefined;
}

export class Credentials {
  readonly #options: CredentialsOptions;

  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /**
   * Hot path: `bench/forward-auth.ts`. `undefined`: anonymous, which a wrong password is too. A session counts before
   * a password and a ticket. The promise rejects with a GatewayError when nobody can tell. Throws REQUEST_MALFORMED.
   */
  identify(
    visit: Visit,
    application: ProtectedApplication,
  ): Identified | undefined | Promise<Identified | undefined> {
    const { sessions, sessionCookie } = this.#options;
    const session = application.acceptsSession ? sessionOf(visit, sessionCookie, sessions) : undefined;
    const { authorization } = visit.head;
    if (authorization === undefined) return session;
    const attempt = this.#attempt(visit, application, authorization);
    if (attempt === undefined) return session;
    if (session instanceof Promise) return session.then(async (loaded) => loaded ?? (await attempt()));
    return session ?? attempt();
  }

  /** How the field would be tried; `undefined`: it is nothing the application accepts. */
  #attempt(
    visit: Visit,
    application: ProtectedApplication,
    authorization: string,
  ): (() => Identified | undefined | Promise<Identified | undefined>) | undefined {
    if (application.acceptsBasic && isBasic(authorization)) return () => this.#signIn(visit);
    const { negotiation } = this.#options;
    if (negotiation === undefined || !application.acceptsNegotiate || !isNegotiate(authorization))
      return undefined;
    const credential = readNegotiate(authorization);
    if (credential === undefined) return undefined;
    return async () => await this.#redeem(visit, application, negotiation, credential);
  }

  async #redeem(
    visit: Visit,
    application: ProtectedApplication,
    negotiation: Negotiation,
    credential: NegotiateCredential,
  ): Promise<Identified> {
    const times = { servedUntilMs: visit.startedAtMs, refreshDueAtMs: visit.startedAtMs };
    const verdict = await negotiation.signIn(visit, credential);
    if (verdict.kind !== 'accepted') return { principal: undefined, ...times, ticket: verdict };
    const { principal, headers } = verdict;
    const opensSession =
      application.acceptsSession &&
      // A program sends a ticket with each request and keeps no cookie: its sessions would pile up.
      (application.options.challenge !== 'direct' || isNavigation(visit.head));
    const admit = async (): Promise<FlatHeaders> =>
      opensSession ? [...headers, ...(await negotiation.openSession(visit, credential, principal))] : headers;
    return { principal, ...times, ticket: { kind: 'accepted', admit } };
  }

  #signIn({ head, clientAddress }: Visit): Identified | undefined | Promise<Identified | undefined> {
    const authorization = head.authorization as string;
    const known = this.#options.requestSignIn.signIn(authorization, () => readBasic(authorization), {
      clientAddress,
    });
    return known instanceof Promise ? known.then(toIdentified) : toIdentified(known);
  }
}

function toIdentified(known: RememberedSignIn): Identified | undefined {
  const { principal, servedUntilMs, refreshDueAtMs } = known;
  return principal === undefined ? undefined : { principal, servedUntilMs, refreshDueAtMs };
}

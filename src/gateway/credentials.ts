/** Finds out who a request is from, by what its application accepts: a session, or a password with every request. */
import type { Exchange } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { RememberedSignIn, RequestSignIn } from '../providers/request-sign-in.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { SessionLifecycle } from '../session/lifecycle.ts';
import type { Session } from '../session/session.ts';
import type { ProtectedApplication } from './application.ts';
import { basicChallenge, isBasic, readBasic } from './basic-credential.ts';
import { sessionOf } from './session-of.ts';

/** Who a request is from, and how long that may be relied on without asking again; milliseconds since the epoch. */
export interface Identified extends Pick<Session, 'principal' | 'servedUntilMs' | 'refreshDueAtMs'> {}

type Visit = Pick<Exchange, 'head' | 'clientAddress' | 'startedAtMs'>;

export interface CredentialsOptions {
  readonly sessions: SessionLifecycle;
  readonly sessionCookie: SessionCookie;
  readonly requestSignIn: RequestSignIn;
}

export class Credentials {
  readonly #options: CredentialsOptions;

  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /**
   * Hot path: `bench/forward-auth.ts`. `undefined`: anonymous, which a wrong password is too. A session counts before
   * a password. The promise rejects with a GatewayError when nobody can tell.
   */
  identify(
    visit: Visit,
    application: ProtectedApplication,
  ): Identified | undefined | Promise<Identified | undefined> {
    const { sessions, sessionCookie } = this.#options;
    const session = application.acceptsSession ? sessionOf(visit, sessionCookie, sessions) : undefined;
    if (!application.acceptsBasic || !isBasic(visit.head.authorization)) return session;
    if (session instanceof Promise) {
      return session.then(async (loaded) => loaded ?? (await this.#signIn(visit)));
    }
    return session ?? this.#signIn(visit);
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

/** How "prove who you are first" is said to this client. */
export interface ChallengeForm {
  /** Whether it can be led to the sign-in page: a session would be accepted afterwards. */
  readonly leadsToSignIn: boolean;
  /** `WWW-Authenticate`, flat; a browser would show its own window where the sign-in page is meant. */
  readonly headers: readonly string[];
}

export function challengeForm(application: ProtectedApplication, head: RequestHead): ChallengeForm {
  const { acceptsSession, acceptsBasic, options } = application;
  const offersBasic = acceptsBasic && (!acceptsSession || !isNavigation(head));
  return {
    leadsToSignIn: acceptsSession,
    headers: offersBasic ? ['WWW-Authenticate', basicChallenge(options.name)] : [],
  };
}

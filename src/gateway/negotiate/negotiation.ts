/**
 * Sign-in by Kerberos ticket as the gateway's addresses share it: whom to ask, what a token comes to, and the headers
 * that go with either. How a token is judged is the provider's; knows no page and no dialect.
 */
import { GatewayError } from '../../errors.ts';
import type { Exchange, FlatHeaders } from '../../http/exchange.ts';
import type { NegotiateCredential } from '../../identity/credential.ts';
import type { HeaderPair, RejectionReason } from '../../identity/outcome.ts';
import type { Principal } from '../../identity/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import type { SignInChain } from '../../providers/chain.ts';
import type { ChallengeOptions } from '../../providers/challenge-options.ts';
import type { SessionCookie } from '../../session/cookie.ts';
import type { SessionLifecycle } from '../../session/lifecycle.ts';
import { ChallengePolicy } from './challenge-policy.ts';
import { NoSsoCookie, type NoSsoCookieScope, noSsoSeconds } from './no-sso-cookie.ts';
import { TicketSessions } from './ticket-sessions.ts';

export interface NegotiationOptions {
  /** Of the Kerberos providers, in configured order; not empty. */
  readonly providers: readonly {
    readonly title?: string | undefined;
    readonly challenge: ChallengeOptions;
  }[];
  /** Whether people who have no ticket can sign in with a password instead. */
  readonly hasPasswordProvider: boolean;
  readonly chain: Pick<SignInChain, 'authenticate'>;
  readonly grantRoles: (principal: Principal) => Principal;
  readonly sessions: Pick<SessionLifecycle, 'issue'>;
  readonly sessionCookie: SessionCookie;
  readonly cookieScope: NoSsoCookieScope;
  readonly clock: Clock;
}

export type TicketVerdict =
  | { readonly kind: 'accepted'; readonly principal: Principal; readonly headers: FlatHeaders }
  | TicketRefusal;

/**
 * `refused`: the token proves nothing. `denied`: it proves who it is, and they may not sign in. `unavailable`: nobody
 * could judge it, and a password would do. `headers`: what goes with the answer, so that the form is shown next time.
 */
export interface TicketRefusal {
  readonly kind: 'refused' | 'denied' | 'unavailable';
  readonly headers: FlatHeaders;
}

type Visit = Pick<Exchange, 'head' | 'clientAddress'>;

/** RFC 4559 section 4.1. */
export const negotiateChallenge: FlatHeaders = ['WWW-Authenticate', 'Negotiate'];

export class Negotiation {
  readonly policy: ChallengePolicy;
  readonly cookie: NoSsoCookie;
  /** What the first Kerberos provider is called; `undefined`: it has no title. */
  readonly title: string | undefined;
  readonly #options: NegotiationOptions;
  readonly #ticketSessions: TicketSessions;

  constructor(options: NegotiationOptions) {
    this.#options = options;
    this.cookie = new NoSsoCookie(options.sessionCookie.name, options.cookieScope);
    this.policy = new ChallengePolicy(
      options.providers.map(({ challenge }) => challenge),
      this.cookie,
    );
    this.title = options.providers[0]?.title;
    this.#ticketSessions = new TicketSessions(options.sessions, options.clock);
  }

  /** Rejects with a GatewayError when nobody can judge the token and there is no password to fall back to. */
  async signIn({ clientAddress }: Visit, credential: NegotiateCredential): Promise<TicketVerdict> {
    const { chain, grantRoles, hasPasswordProvider } = this.#options;
    try {
      const outcome = await chain.authenticate(credential, { clientAddress });
      switch (outcome.kind) {
        case 'authenticated':
          return {
            kind: 'accepted',
            principal: grantRoles(outcome.principal),
            headers: flat(outcome.headers),
          };
        case 'rejected':
          return this.#refusal(refusals[outcome.reason]);
        // Behind a front proxy the next leg would come on another connection: one token has to do.
        case 'challenge':
          return this.#refusal('refused');
      }
    } catch (error) {
      const isOutage = error instanceof GatewayError && error.code.startsWith('PROVIDER_');
      if (!isOutage || !hasPasswordProvider) throw error;
      return this.#refusal('unavailable');
    }
  }

  /** The one `Set-Cookie` pair of an accepted token: front proxies hand no second one on with a verdict. */
  async openSession(
    { head, clientAddress }: Visit,
    credential: NegotiateCredential,
    principal: Principal,
  ): Promise<FlatHeaders> {
    const { sessionCookie } = this.#options;
    const previous = sessionCookie.readTicket(head.cookie);
    const ticket = await this.#ticketSessions.open(
      credential.token.reveal(),
      clientAddress,
      principal,
      previous,
    );
    return ['Set-Cookie', sessionCookie.issue(ticket)];
  }

  #refusal(kind: TicketRefusal['kind']): TicketRefusal {
    const seconds = kind === 'unavailable' ? noSsoSeconds.unavailable : noSsoSeconds.refused;
    return { kind, headers: ['Set-Cookie', this.cookie.issue(seconds)] };
  }
}

function flat(headers: readonly HeaderPair[] = []): FlatHeaders {
  return headers.flat();
}

/** What is wrong with the token, and what with the person it names. */
const refusals = {
  'credentials-malformed': 'refused',
  'wrong-password': 'refused',
  'token-malformed': 'refused',
  'token-too-long': 'refused',
  ntlm: 'refused',
  'mechanism-not-supported': 'refused',
  'spn-mismatch': 'refused',
  'kvno-old': 'refused',
  'ticket-old': 'refused',
  'key-mismatch': 'refused',
  'enctype-missing': 'refused',
  skew: 'refused',
  replay: 'refused',
  'ticket-refused': 'refused',
  'continuation-needed': 'refused',
  'principal-malformed': 'denied',
  'realm-not-allowed': 'denied',
  'unknown-account': 'denied',
  'ambiguous-account': 'denied',
  'account-disabled': 'denied',
  'account-locked': 'denied',
  'account-expired': 'denied',
  'password-expired': 'denied',
  'password-must-change': 'denied',
  'sign-in-not-permitted': 'denied',
} as const satisfies Record<RejectionReason, TicketRefusal['kind']>;

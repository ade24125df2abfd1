/**
 * The address where a browser is asked for its ticket: 401 with the sign-in page as its body, which everybody sees who
 * has none. Whoever has one is signed in before a page is shown.
 */
import type { Exchange, FlatHeaders } from '../../http/exchange.ts';
import type { PageReply } from '../../portal/pages.ts';
import { isNegotiate, readNegotiate } from '../credentials/negotiate.ts';
import type { PortalRequest } from '../portal.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import { isBrowserScript } from './challenge-policy.ts';
import { type Negotiation, negotiateChallenge, type TicketRefusal } from './negotiation.ts';

export type NegotiateAnswer =
  | { readonly kind: 'signed-in'; readonly headers: FlatHeaders }
  | { readonly kind: 'page'; readonly page: PageReply }
  /** A script has no use for a page, and a challenge might open a dialog over the one that loaded it. */
  | { readonly kind: 'script' };

export class NegotiatePage {
  readonly #negotiation: Negotiation;
  readonly #signIn: SignIn;

  constructor(negotiation: Negotiation, signIn: SignIn) {
    this.#negotiation = negotiation;
    this.#signIn = signIn;
  }

  /** Rejects with what `error-reply.ts` answers: more than one token, nobody to judge it, a store that is away. */
  async answer(request: PortalRequest, returnTo: string | undefined): Promise<NegotiateAnswer> {
    const { exchange } = request;
    const { authorization } = exchange.head;
    const credential = isNegotiate(authorization) ? readNegotiate(authorization) : undefined;
    if (credential === undefined) return this.#ask(request, returnTo);
    const verdict = await this.#negotiation.signIn(exchange, credential);
    if (verdict.kind !== 'accepted') return this.#refuse(request, returnTo, verdict);
    const cookies = await this.#negotiation.openSession(exchange, credential, verdict.principal);
    const { cookie } = this.#negotiation;
    const forgotten = cookie.isPresent(exchange.head.cookie) ? ['Set-Cookie', cookie.clear()] : [];
    return { kind: 'signed-in', headers: [...verdict.headers, ...cookies, ...forgotten] };
  }

  #ask(request: PortalRequest, returnTo: string | undefined): NegotiateAnswer {
    const { exchange, origin } = request;
    const { head, clientAddress } = exchange;
    if (isBrowserScript(head)) return { kind: 'script' };
    const page = this.#signIn.page(request, returnTo);
    const isAdmitted = this.#negotiation.policy.admits({ head, clientAddress, host: origin.host });
    if (isAdmitted && this.#isWished(exchange)) page.headers.push(...negotiateChallenge);
    return { kind: 'page', page: { ...page, status: 401 } };
  }

  /** The button on the sign-in page is a wish that counts more than the cookie; a link on another site is none. */
  #isWished({ head }: Exchange): boolean {
    if (!this.#negotiation.cookie.isPresent(head.cookie)) return true;
    return (
      head.secFetchSite === undefined || head.secFetchSite === 'same-origin' || head.secFetchSite === 'none'
    );
  }

  #refuse(request: PortalRequest, returnTo: string | undefined, refusal: TicketRefusal): NegotiateAnswer {
    const kind = refusal.kind === 'denied' ? 'ticket-denied' : 'ticket-refused';
    const page = this.#signIn.page(request, returnTo, { kind });
    page.headers.push(...refusal.headers);
    return { kind: 'page', page };
  }
}

/** How "prove who you are first" is said to one client: to be led to the sign-in page, shown it, or asked by a scheme. */
import type { Decision } from '../access/decision.ts';
import type { FlatHeaders } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { ProtectedApplication } from './application.ts';
import { basicChallenge } from './credentials/basic.ts';
import type { TicketEffect } from './credentials.ts';
import type { Challengeable } from './negotiate/challenge-policy.ts';
import { type Negotiation, negotiateChallenge } from './negotiate/negotiation.ts';

export interface ChallengeForm {
  /** Whether the client can be led to the sign-in page: a session would be accepted afterwards. */
  readonly leadsToSignIn: boolean;
  /** The page itself is the answer, with 401: after a redirect the browser would not answer the challenge here. */
  readonly isInPlace: boolean;
  /** `WWW-Authenticate` and cookies, flat; a browser would show a window of its own where the page is meant. */
  readonly headers: FlatHeaders;
}

/** `redirects`: a navigation can be sent elsewhere by the answer, which nginx does not let through. */
export function challengeForm(
  application: ProtectedApplication,
  negotiation: Negotiation | undefined,
  request: Challengeable,
  ticket: TicketEffect | undefined,
  redirects: boolean,
): ChallengeForm {
  const { acceptsSession, acceptsBasic, options } = application;
  const isPage = isNavigation(request.head);
  // Whoever was refused is not asked again: the same token would come back, or a dialog.
  const asksForTicket =
    ticket === undefined && negotiation !== undefined && asks(application, negotiation, request, redirects);
  const offersBasic = acceptsBasic && (!acceptsSession || !isPage);
  return {
    leadsToSignIn: acceptsSession,
    isInPlace: acceptsSession && isPage && (asksForTicket || ticket !== undefined),
    headers: [
      // nginx before 1.23 hands the first one on and no other.
      ...(asksForTicket ? negotiateChallenge : []),
      ...(offersBasic ? ['WWW-Authenticate', basicChallenge(options.name)] : []),
      ...(ticket === undefined || ticket.kind === 'accepted' ? [] : ticket.headers),
    ],
  };
}

function asks(
  { acceptsNegotiate, acceptsSession, options }: ProtectedApplication,
  { policy }: Negotiation,
  request: Challengeable,
  redirects: boolean,
): boolean {
  if (!acceptsNegotiate) return false;
  if (options.challenge === 'direct' || !acceptsSession) return policy.mayAskProgram(request);
  // Where a redirect is possible, the sign-in page asks.
  return !redirects && policy.mayAsk(request);
}

const ticketDenied: Decision = { kind: 'deny', reason: 'conditions-not-met', rule: undefined };

/** Somebody who may not sign in is not asked to sign in: the ticket has said who they are. */
export function withTicket(decision: Decision, ticket: TicketEffect | undefined): Decision {
  return decision.kind === 'challenge' && ticket?.kind === 'denied' ? ticketDenied : decision;
}

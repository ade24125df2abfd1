/** Finds the session a request carries: at once from the worker's memory, else by a promise from the store. */
import type { Exchange } from '../../http/exchange.ts';
import type { SessionCookie } from '../../session/cookie.ts';
import type { SessionLifecycle } from '../../session/lifecycle.ts';
import type { Session } from '../../session/session.ts';

/**
 * Hot path: `bench/forward-auth.ts`. `undefined`: the request carries no session.
 * The promise rejects with GatewayError SESSION_STORE_UNAVAILABLE or PROVIDER_UNAVAILABLE.
 */
export function sessionOf(
  { head, startedAtMs }: Pick<Exchange, 'head' | 'startedAtMs'>,
  cookie: SessionCookie,
  sessions: SessionLifecycle,
): Session | undefined | Promise<Session | undefined> {
  if (head.cookie === '') return undefined;
  const ticket = cookie.readTicket(head.cookie);
  if (ticket === undefined) return undefined;
  return sessions.cached(ticket, startedAtMs) ?? sessions.load(ticket);
}

/**
 * The session cookie: how it is written and found in a `Cookie` header.
 * Knows the ticket's spelling, never what a ticket opens.
 */
import { findCookie, isBlank } from '../lib/cookie-header.ts';
import type { SessionOptions } from './options.ts';
import { isTicket } from './ticket.ts';

const sameSiteNames = { lax: 'Lax', strict: 'Strict', none: 'None' } as const;

export class SessionCookie {
  /** As browsers send it, with the `__Host-` prefix where it applies. */
  readonly name: string;
  readonly #attributes: string;

  /** `secure`: whether people reach the gateway over https. */
  constructor(options: SessionOptions['cookie'], secure: boolean) {
    // Without a domain the prefix makes browsers refuse a cookie of that name from any other host (RFC 6265bis 4.1.3.2).
    this.name = secure && options.domain === undefined ? `__Host-${options.name}` : options.name;
    this.#attributes =
      `; Path=/; HttpOnly; SameSite=${sameSiteNames[options.sameSite]}` +
      (secure ? '; Secure' : '') +
      (options.domain === undefined ? '' : `; Domain=${options.domain}`);
  }

  /**
   * Hot path: bench/load. The ticket, or `undefined` when the cookie is absent or unusable: written twice (a
   * neighbour's host may have planted one), quoted, encoded or misspelled.
   */
  readTicket(cookieHeader: string): string | undefined {
    const at = findCookie(cookieHeader, this.name, 0);
    if (at === -1) return undefined;
    if (findCookie(cookieHeader, this.name, at + this.name.length) !== -1) return undefined;
    const start = at + this.name.length + 1;
    if (cookieHeader.charCodeAt(start - 1) !== equalsSign) return undefined;
    let end = cookieHeader.indexOf(';', start);
    if (end === -1) end = cookieHeader.length;
    while (end > start && isBlank(cookieHeader.charCodeAt(end - 1))) end--;
    const ticket = cookieHeader.slice(start, end);
    return isTicket(ticket) ? ticket : undefined;
  }

  /** Whether a cookie of this name was sent at all, usable or not: the sign-in page clears an unusable one. */
  isPresent(cookieHeader: string): boolean {
    return findCookie(cookieHeader, this.name, 0) !== -1;
  }

  /** `Set-Cookie` value. Without Max-Age: the browser forgets it when it closes. */
  issue(ticket: string): string {
    return `${this.name}=${ticket}${this.#attributes}`;
  }

  /** `Set-Cookie` value that removes the cookie. */
  clear(): string {
    return `${this.name}=; Max-Age=0${this.#attributes}`;
  }
}

const equalsSign = 0x3d;

/**
 * The session cookie: how it is written, found in a `Cookie` header and kept from applications.
 * Knows the ticket's spelling, never what a ticket opens.
 */
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

/**
 * A `Cookie` header without the cookies of these names, the rest as it was; '' when nothing is left.
 * Names compare exactly: a cookie that only resembles ours does not open anything.
 */
export function withoutCookies(cookieHeader: string, names: readonly string[]): string {
  if (!names.some((name) => findCookie(cookieHeader, name, 0) !== -1)) return cookieHeader;
  const kept: string[] = [];
  for (let start = 0; start <= cookieHeader.length; ) {
    let end = cookieHeader.indexOf(';', start);
    if (end === -1) end = cookieHeader.length;
    const pair = trimBlanks(cookieHeader.slice(start, end));
    if (pair !== '' && !names.some((name) => findCookie(pair, name, 0) === 0)) kept.push(pair);
    start = end + 1;
  }
  return kept.join('; ');
}

const semicolon = 0x3b;
const equalsSign = 0x3d;

/**
 * Position of the next cookie called `name`: at the start or after ';', blanks around it allowed, '=' after it.
 * Only space and tab are blanks: a server that trims Unicode spaces reads a protected name where browsers saw another.
 */
function findCookie(header: string, name: string, from: number): number {
  for (let at = header.indexOf(name, from); at !== -1; at = header.indexOf(name, at + 1)) {
    let before = at - 1;
    while (before >= 0 && isBlank(header.charCodeAt(before))) before--;
    if (before >= 0 && header.charCodeAt(before) !== semicolon) continue;
    let after = at + name.length;
    while (after < header.length && isBlank(header.charCodeAt(after))) after++;
    if (header.charCodeAt(after) === equalsSign) return at;
  }
  return -1;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * The cookie that says "show the form, ask for no ticket": after a ticket that was no use, so that nobody is asked
 * again and again, and after a sign-out, which would otherwise lead straight back in. It is a wish and proves nothing.
 */
import { findCookie } from '../../lib/cookie-header.ts';

/** For how long, by what happened; seconds. */
export const noSsoSeconds = { refused: 600, unavailable: 60, signedOut: 28_800 } as const;

export interface NoSsoCookieScope {
  /** `undefined`: this host only. */
  readonly domain: string | undefined;
  readonly isSecure: boolean;
}

export class NoSsoCookie {
  readonly name: string;
  readonly #attributes: string;

  /** `sessionCookieName` with or without its prefix: this cookie spans a domain where one is configured. */
  constructor(sessionCookieName: string, { domain, isSecure }: NoSsoCookieScope) {
    this.name = `${sessionCookieName.replace(/^__Host-/, '')}-nosso`;
    this.#attributes =
      '; Path=/; HttpOnly; SameSite=Lax' +
      (isSecure ? '; Secure' : '') +
      (domain === undefined ? '' : `; Domain=${domain}`);
  }

  isPresent(cookieHeader: string): boolean {
    return findCookie(cookieHeader, this.name, 0) !== -1;
  }

  /** `Set-Cookie` value. */
  issue(seconds: number): string {
    return `${this.name}=1; Max-Age=${seconds}${this.#attributes}`;
  }

  /** `Set-Cookie` value that removes the cookie. */
  clear(): string {
    return `${this.name}=; Max-Age=0${this.#attributes}`;
  }
}

/**
 * Protection of the sign-in and sign-out forms: a random cookie that the form repeats, and the browser's own word
 * about where the form came from. One value per browser, so several tabs work side by side.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { GatewayError } from '../../errors.ts';
import type { Exchange } from '../../http/exchange.ts';
import { parseAuthority } from '../../http/host.ts';
import { cookieValue } from '../../lib/cookie-header.ts';
import { splitUrl } from '../addresses/original-request.ts';
import type { RequestOrigin } from '../addresses/request-origin.ts';
import type { GatewayDependencies } from '../dependencies.ts';

/** 16 random bytes as base64url. */
const tokenPattern = /^[A-Za-z0-9_-]{22}$/;

export interface CsrfToken {
  readonly value: string;
  /** Header pair for a browser that has no cookie yet; flat, empty otherwise. */
  readonly headers: readonly string[];
}

export class CsrfGuard {
  /** Name of the cookie, with the `__Host-` prefix over https. */
  readonly cookieName: string;
  readonly #attributes: string;

  constructor(sessionCookieName: string, secure: boolean) {
    this.cookieName = `${secure ? '__Host-' : ''}${sessionCookieName}-csrf`;
    this.#attributes = `; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  }

  /** The value for a form on a page this browser is about to get. */
  token({ head }: Pick<Exchange, 'head'>): CsrfToken {
    const known = cookieValue(head.cookie, this.cookieName);
    if (known !== undefined && tokenPattern.test(known)) return { value: known, headers: [] };
    const value = randomBytes(16).toString('base64url');
    return { value, headers: ['Set-Cookie', `${this.cookieName}=${value}${this.#attributes}`] };
  }

  /** Throws CSRF_MISMATCH unless the form comes from a page of ours in this browser. */
  check({ head }: Exchange, field: string | undefined, origin: RequestOrigin): void {
    const cookie = cookieValue(head.cookie, this.cookieName);
    if (
      cookie === undefined ||
      field === undefined ||
      !tokenPattern.test(cookie) ||
      !areEqual(cookie, field)
    ) {
      throw new GatewayError('CSRF_MISMATCH', 'the form value is missing or of another browser');
    }
    if (
      head.secFetchSite !== undefined &&
      head.secFetchSite !== 'same-origin' &&
      head.secFetchSite !== 'none'
    ) {
      throw new GatewayError('CSRF_MISMATCH', 'the form was sent by another site');
    }
    if (head.origin !== undefined && !isOwnOrigin(head.origin, origin)) {
      throw new GatewayError('CSRF_MISMATCH', 'the form has a foreign origin');
    }
  }
}

export function createCsrfGuard({
  snapshot,
  sessionCookie,
}: Pick<GatewayDependencies, 'snapshot' | 'sessionCookie'>): CsrfGuard {
  return new CsrfGuard(sessionCookie.name.replace(/^__Host-/, ''), snapshot.publicOrigin.scheme === 'https');
}

function areEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** RFC 6454 section 7. `null` is what hidden origins say: never ours. */
function isOwnOrigin(text: string, origin: RequestOrigin): boolean {
  const url = splitUrl(`${text}/`);
  return (
    url !== undefined && url.scheme === origin.scheme && parseAuthority(url.authority)?.host === origin.host
  );
}

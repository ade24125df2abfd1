/** The request a front proxy asks about, as its metadata headers describe it. */
import { parseAuthority } from '../../http/host.ts';
import { parseTarget, type Target } from '../../http/target.ts';
import type { Principal } from '../../identity/principal.ts';

export interface OriginalRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Lower case, without port. */
  readonly host: string;
  /** `host[:port]` as the browser sees it. */
  readonly authority: string;
  readonly target: Target;
  /** `method` is a placeholder: whatever it was has to be allowed. */
  readonly isMethodUnknown?: true;
  /** What the front proxy asks of the person beside the rules. */
  readonly restriction?: (principal: Principal) => boolean;
}

/** Puts the parts together; `undefined` when any of them is missing or leaves doubt. */
export function originalRequest(
  method: string | undefined,
  scheme: string | undefined,
  authority: string | undefined,
  target: string | undefined,
): OriginalRequest | undefined {
  if (method === undefined || authority === undefined || target === undefined) return undefined;
  if (scheme !== 'https' && scheme !== 'http') return undefined;
  if (!isMethod(method)) return undefined;
  const parsedAuthority = parseAuthority(authority);
  const parsedTarget = parseTarget(target);
  if (parsedAuthority === undefined || parsedTarget === undefined) return undefined;
  const { host, port } = parsedAuthority;
  return { method, scheme, host, authority: port === '' ? host : `${host}:${port}`, target: parsedTarget };
}

/** `https://host[:port]/path?query` taken apart without resolving anything: what was asked is what is judged. */
export function splitUrl(url: string): { scheme: string; authority: string; target: string } | undefined {
  const colon = url.indexOf('://');
  if (colon < 0) return undefined;
  const pathAt = url.indexOf('/', colon + 3);
  if (pathAt < 0) return undefined;
  return { scheme: url.slice(0, colon), authority: url.slice(colon + 3, pathAt), target: url.slice(pathAt) };
}

/** Full address of an original request, for the return after sign-in. */
export function originalUrl({ scheme, authority, target }: OriginalRequest): string {
  return `${scheme}://${authority}${target.path}${target.query}`;
}

/** RFC 9110 section 9.1: methods are case-sensitive; every registered one is upper case. */
function isMethod(text: string): boolean {
  if (text.length === 0 || text.length > 20) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== 0x2d && (code < 0x41 || code > 0x5a)) return false;
  }
  return true;
}

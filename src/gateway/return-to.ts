/** The one guard of return targets: says which `rd` is allowed, never tries to recognise bad ones. */
import { parseAuthority } from '../http/host.ts';
import { parseTarget } from '../http/target.ts';
import { splitUrl } from './original-request.ts';
import { isCovered } from './public-origin.ts';
import type { Snapshot } from './snapshot.ts';

/** Longest `rd` that is looked at: it comes back in a form, escaped, and must still fit. */
const maxLength = 4_096;

/**
 * The target itself when it is a path of this host, or an address of a configured application or below
 * `session.cookie.domain`; otherwise `undefined`, and the caller goes to the portal without an error.
 */
export function allowedReturnTarget(target: string | undefined, snapshot: Snapshot): string | undefined {
  if (target === undefined || target === '' || target.length > maxLength) return undefined;
  if (target.startsWith('/')) return isOwnPath(target, snapshot) ? target : undefined;
  const url = splitUrl(target.includes('/', target.indexOf('://') + 3) ? target : `${target}/`);
  if (url === undefined) return undefined;
  const { scheme, authority } = url;
  // Never from https down to http.
  if (scheme !== 'https' && !(scheme === 'http' && snapshot.publicOrigin.scheme === 'http')) return undefined;
  const host = parseAuthority(authority)?.host;
  if (host === undefined || !isOwnPath(url.target, snapshot)) return undefined;
  return snapshot.knowsHost(host) || isCovered(host, snapshot.cookieDomain) ? target : undefined;
}

/**
 * Exactly one leading slash, a target that every reader understands alike, and no action of the gateway itself:
 * a return to the sign-out page or to another sign-in would be somebody else's will.
 */
function isOwnPath(path: string, { portalPath }: Snapshot): boolean {
  const target = parseTarget(path);
  if (target === undefined || target.canonical.startsWith('//') || /^\/%(2F|5C)/.test(target.canonical))
    return false;
  return target.readings.every(
    (reading) =>
      !reading.startsWith(`${portalPath}/`) ||
      reading === `${portalPath}/` ||
      reading.startsWith(`${portalPath}/zimbra/`),
  );
}

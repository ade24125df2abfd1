/** The one guard of return targets: says which `rd` is allowed, never tries to recognise bad ones. */
import { type Authority, parseAuthority } from '../../http/host.ts';
import { parseTarget } from '../../http/target.ts';
import type { Snapshot } from '../snapshot.ts';
import { splitUrl } from './original-request.ts';
import { isCovered } from './public-origin.ts';

/** Longest `rd` that is looked at: it comes back in a form, escaped, and must still fit. */
export const maxReturnTargetLength = 4_096;

/**
 * The target itself when it is a path of this host, or an address of a configured application or below
 * `session.cookie.domain`; otherwise `undefined`, and the caller goes to the portal without an error.
 * `ownAuthority`: `host[:port]` the person is on.
 */
export function allowedReturnTarget(
  target: string | undefined,
  snapshot: Snapshot,
  ownAuthority?: string,
): string | undefined {
  if (target === undefined || target === '' || target.length > maxReturnTargetLength) return undefined;
  const resource = withoutFragment(target);
  if (resource === undefined) return undefined;
  if (resource.startsWith('/')) return isOwnPath(resource, snapshot) ? target : undefined;
  const url = splitUrl(resource.includes('/', resource.indexOf('://') + 3) ? resource : `${resource}/`);
  if (url === undefined) return undefined;
  const { scheme } = url;
  // Never from https down to http.
  if (scheme !== 'https' && !(scheme === 'http' && snapshot.publicOrigin.scheme === 'http')) return undefined;
  const authority = parseAuthority(url.authority);
  if (authority === undefined || !isOwnPath(url.target, snapshot)) return undefined;
  const { host } = authority;
  if (!snapshot.knowsHost(host) && !isCovered(host, snapshot.cookieDomain)) return undefined;
  return isKnownPort(authority, scheme, snapshot, ownAuthority) ? target : undefined;
}

/** What a browser asks for; the fragment stays with it. `undefined`: a fragment no browser writes like that. */
function withoutFragment(target: string): string | undefined {
  const at = target.indexOf('#');
  if (at < 0) return target;
  return /^[\x21-\x5b\x5d-\x7e]*$/.test(target.slice(at)) ? target.slice(0, at) : undefined;
}

/**
 * Another port is another server, perhaps another person's: applications are reached on the port of `publicUrl`, on
 * their scheme's own, or where the person is already.
 */
function isKnownPort(
  { host, port }: Authority,
  scheme: string,
  { publicOrigin }: Snapshot,
  ownAuthority: string | undefined,
): boolean {
  return (
    port === '' ||
    port === (scheme === 'https' ? '443' : '80') ||
    `:${port}` === publicOrigin.port ||
    `${host}:${port}` === ownAuthority
  );
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
      reading === `${portalPath}/form` ||
      reading.startsWith(`${portalPath}/zimbra/`),
  );
}

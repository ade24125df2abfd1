/** Where a person is sent to sign in, given the address they asked for. */

import type { Snapshot } from '../snapshot.ts';
import { isCovered } from './public-origin.ts';

/**
 * With a cookie domain that covers the host, sign-in happens once for all at `publicUrl`;
 * otherwise at the portal path of the host itself, since no other host could set its cookie.
 */
export function signInLocation(
  asked: { readonly scheme: string; readonly host: string; readonly authority: string },
  returnTo: string,
  { publicOrigin, cookieDomain, portalPath }: Snapshot,
): string {
  const origin = isCovered(asked.host, cookieDomain)
    ? publicOrigin.url
    : `${asked.scheme}://${asked.authority}`;
  return `${origin}${portalPath}/login?rd=${encodeURIComponent(returnTo)}`;
}

/** Where a ticket is asked for, on the host the person is on. */
export function negotiateLocation(returnTo: string, { portalPath }: Pick<Snapshot, 'portalPath'>): string {
  return `${portalPath}/negotiate?rd=${encodeURIComponent(returnTo)}`;
}

/** Scheme and host a request was really sent to, as far as trusted proxies say so. */

import type { Exchange } from '../../http/exchange.ts';
import { parseAuthority } from '../../http/host.ts';
import type { Snapshot } from '../snapshot.ts';

export interface RequestOrigin {
  readonly scheme: 'http' | 'https';
  /** Lower case, without port. */
  readonly host: string;
  /** `host[:port]` as the browser wrote it, folded. */
  readonly authority: string;
}

/**
 * `undefined`: the host is missing, doubled or malformed. `X-Forwarded-Proto` and `X-Forwarded-Host` count only from
 * trusted proxies; without them the scheme is that of `publicUrl`, since the gateway itself ends no TLS.
 */
export function requestOrigin(
  { head, isPeerTrusted }: Exchange,
  snapshot: Snapshot,
): RequestOrigin | undefined {
  if (isPeerTrusted && (head.isDuplicate('forwardedProto') || head.isDuplicate('forwardedHost')))
    return undefined;
  const proto = isPeerTrusted ? head.forwardedProto : undefined;
  const scheme = proto === 'https' || proto === 'http' ? proto : snapshot.publicOrigin.scheme;
  const authority = parseAuthority((isPeerTrusted ? head.forwardedHost : undefined) ?? head.host ?? '');
  if (authority === undefined) return undefined;
  const { host, port } = authority;
  return { scheme, host, authority: port === '' ? host : `${host}:${port}` };
}

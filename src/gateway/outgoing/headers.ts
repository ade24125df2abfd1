/** The header list an upstream receives: the client's own fields without what it may not say, then ours, once. */
import { GatewayError } from '../../errors.ts';
import type { Exchange } from '../../http/exchange.ts';
import { connectionOptions } from '../../lib/connection-options.ts';
import { withoutCookies } from '../../lib/cookie-header.ts';
import type { RequestOrigin } from '../addresses/request-origin.ts';
import type { ProtectedApplication } from '../application.ts';
import { isNegotiate } from '../credentials/negotiate.ts';
import type { View } from '../view.ts';

/** Hot path: `bench/proxy.ts`. `gatewayCookies`: names of the cookies that stay here. */
export function outgoingHeaders(
  exchange: Exchange,
  application: ProtectedApplication,
  view: View,
  origin: RequestOrigin,
  gatewayCookies: readonly string[],
): string[] {
  const { strip } = application;
  const raw = exchange.request.rawHeaders;
  const headers: string[] = [];
  let listed: readonly string[] | undefined;
  // A ticket for the gateway is no credential for anybody else, also where the Authorization field passes.
  const withheld =
    application.options.forwardAuthorization && isNegotiate(exchange.head.authorization)
      ? 'authorization'
      : undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    switch (strip.fate(name)) {
      case 'keep':
        if (withheld === undefined || name.toLowerCase() !== withheld) headers.push(name, value);
        break;
      case 'alias':
        if (application.options.headers.onAlias === 'reject') {
          throw new GatewayError(
            'REQUEST_MALFORMED',
            'a header is a twin of one that only the gateway may send',
            { fields: { header: name } },
          );
        }
        break;
      case 'drop':
        if (name.length === 10 && name.toLowerCase() === 'connection' && !isPlainConnection(value)) {
          listed = [...(listed ?? []), ...connectionOptions(value)];
        }
    }
  }
  // Removed before anything of ours is added, so that a client cannot name our headers in Connection.
  const own = listed === undefined ? headers : withoutListed(headers, listed);
  const cookies = withoutCookies(exchange.head.cookie, gatewayCookies);
  if (cookies !== '') own.push('Cookie', cookies);
  own.push('Host', origin.authority);
  own.push('X-Forwarded-For', exchange.clientAddress);
  own.push('X-Real-IP', exchange.clientAddress);
  own.push('X-Forwarded-Proto', origin.scheme);
  own.push('X-Forwarded-Host', origin.authority);
  own.push('X-Forwarded-Port', portOf(origin));
  if (application.options.proxy.forwardedField) {
    own.push('Forwarded', forwardedField(exchange.clientAddress, origin));
  }
  for (let i = 0; i < view.upstreamHeaders.length; i++) own.push(view.upstreamHeaders[i] as string);
  return own;
}

/** RFC 7239 section 4; an IPv6 address is in brackets and quoted, a host is quoted for its colon. */
function forwardedField(clientAddress: string, { scheme, authority }: RequestOrigin): string {
  const client = clientAddress.includes(':') ? `"[${clientAddress}]"` : clientAddress;
  return `for=${client};host="${authority}";proto=${scheme}`;
}

/** The port people use: that of the authority, else the scheme's own. An IPv6 host is in brackets. */
function portOf({ scheme, authority }: RequestOrigin): string {
  const colon = authority.lastIndexOf(':');
  if (colon > authority.lastIndexOf(']')) return authority.slice(colon + 1);
  return scheme === 'https' ? '443' : '80';
}

function isPlainConnection(value: string): boolean {
  return value === 'keep-alive' || value === 'close';
}

function withoutListed(headers: readonly string[], listed: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const lower = (headers[i] as string).toLowerCase();
    // Framing is ours to know, whatever the client lists.
    if (listed.includes(lower) && lower !== 'content-length') continue;
    kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

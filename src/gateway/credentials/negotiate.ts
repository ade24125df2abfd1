/** `Authorization: Negotiate` (RFC 4559): which field it is, and the token in it. What a token says is its provider's. */
import { GatewayError } from '../../errors.ts';
import type { NegotiateCredential } from '../../identity/credential.ts';
import { Secret } from '../../lib/secret.ts';

const scheme = 'negotiate';

/** Also what only a lenient reader would take for the scheme: it must neither be tried elsewhere nor passed on. */
export function isNegotiate(authorization: string | undefined): authorization is string {
  return authorization !== undefined && /^[ \t]*negotiate(?![a-z0-9-])/i.test(authorization);
}

/**
 * `undefined`: the scheme without a token, which is the same as no field. Throws GatewayError REQUEST_MALFORMED when
 * something follows the token: which of the two was meant, two readers would answer differently.
 */
export function readNegotiate(authorization: string): NegotiateCredential | undefined {
  const token = authorization.trimStart().slice(scheme.length).trim();
  if (token === '') return undefined;
  if (token.includes(','))
    throw new GatewayError('REQUEST_MALFORMED', 'more than a token follows the scheme Negotiate');
  return { kind: 'negotiate', token: new Secret(token), provider: undefined };
}

/** `Authorization: Basic` (RFC 7617), read strictly: what two readers could take for two passwords is none. */
import type { PasswordCredential } from '../../identity/credential.ts';
import { Secret } from '../../lib/secret.ts';

export function isBasic(authorization: string | undefined): authorization is string {
  return authorization !== undefined && /^basic(?: |$)/i.test(authorization);
}

/** `undefined`: not base64 with its padding, not UTF-8, without a colon, or with an empty half. */
export function readBasic(authorization: string): PasswordCredential | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  // Decoders skip what they do not understand: only the one spelling of the bytes is taken.
  if (bytes.toString('base64') !== encoded) return undefined;
  const text = decodeUtf8(bytes);
  const colon = text?.indexOf(':') ?? -1;
  if (text === undefined || colon <= 0 || colon === text.length - 1) return undefined;
  return {
    kind: 'password',
    username: text.slice(0, colon),
    password: new Secret(text.slice(colon + 1)),
    provider: undefined,
  };
}

function decodeUtf8(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
}

/** RFC 7617 section 2.1: the charset tells clients to encode as we decode. `realm` is letters, digits and hyphens. */
export function basicChallenge(realm: string): string {
  return `Basic realm="${realm}", charset="UTF-8"`;
}

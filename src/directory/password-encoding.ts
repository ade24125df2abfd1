/** How a change of password is written down for a server. Knows neither connections nor who may change what. */
import type { PasswordPair } from '../identity/credential.ts';
import type { Secret } from '../lib/secret.ts';
import { element, octets, tags } from './ber.ts';

/** Buffers hold passwords: they say nothing of themselves when something turns them into JSON. */
export type EncodedPasswordChange =
  | { readonly kind: 'extended'; readonly oid: string; readonly value: Buffer }
  /** The old value is deleted and the new one added, in one operation. */
  | {
      readonly kind: 'modify';
      readonly dn: string;
      readonly attribute: string;
      readonly oldValue: Buffer;
      readonly newValue: Buffer;
    };

/** RFC 3062 section 2, of whoever is bound: `userIdentity` is left out. */
export function encodePasswordModify({ old, new: fresh }: PasswordPair): EncodedPasswordChange {
  const value = element(tags.sequence, octets(old.reveal(), 0x81), octets(fresh.reveal(), 0x82));
  return { kind: 'extended', oid: '1.3.6.1.4.1.4203.1.11.1', value: silent(value) };
}

/**
 * MS-ADTS section 3.1.1.3.1.5: in quotation marks, UTF-16LE. Delete and add together are a change, which proves the
 * old password and obeys the rules of the domain; a replace would be a reset, which does neither.
 */
export function encodeUnicodePassword(dn: string, { old, new: fresh }: PasswordPair): EncodedPasswordChange {
  const quoted = (password: Secret): Buffer => silent(Buffer.from(`"${password.reveal()}"`, 'utf16le'));
  return { kind: 'modify', dn, attribute: 'unicodePwd', oldValue: quoted(old), newValue: quoted(fresh) };
}

function silent(bytes: Buffer): Buffer {
  return Object.assign(bytes, { toJSON: () => '[secret]' });
}

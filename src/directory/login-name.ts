/** What may be asked of a directory: limits on typed names and passwords, checked before any socket is touched. */
import type { Secret } from '../lib/secret.ts';

/** Long input makes servers close pooled connections, so that one guest's typing costs others their sign-in. */
const maxNameBytes = 256;
const maxPasswordBytes = 1_024;

// oxlint-disable-next-line no-control-regex -- C0, DEL and C1 in a name are what is refused here
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * The name in the one spelling that is searched for: NFKC, without blanks around it (RFC 4518 prepares both sides of a
 * comparison alike). `undefined`: not a name.
 */
export function prepareName(typed: string): string | undefined {
  if (typed.length > maxNameBytes || !typed.isWellFormed() || controlCharacters.test(typed)) return undefined;
  const name = typed.normalize('NFKC').trim();
  if (name === '' || Buffer.byteLength(name) > maxNameBytes || Buffer.byteLength(typed) > maxNameBytes) {
    return undefined;
  }
  return name;
}

/** An empty password would be an anonymous bind, which succeeds (RFC 4513 section 5.1.2). */
export function isAcceptablePassword(password: Secret): boolean {
  const text = password.reveal();
  return (
    text !== '' &&
    text.length <= maxPasswordBytes &&
    text.isWellFormed() &&
    Buffer.byteLength(text) <= maxPasswordBytes
  );
}

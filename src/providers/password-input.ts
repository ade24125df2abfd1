/** What may be typed as account name and password. Checked once, before anything is sent anywhere. */
import type { Credential } from '../identity/credential.ts';
import type { Secret } from '../lib/secret.ts';

export const maxUsernameBytes = 256;
export const maxPasswordBytes = 1_024;
const maxLoggedCharacters = 80;

/** RFC 6750 section 2.1: the characters of a token; longer ones do not fit the head of a request. */
const bearerToken = /^[A-Za-z0-9._~+/-]{1,16384}=*$/;

/** Whether a credential is worth asking a provider about. */
export function isAcceptableCredential(credential: Credential): boolean {
  switch (credential.kind) {
    case 'password':
      return isAcceptableInput(credential.username, credential.password);
    case 'bearer':
      return bearerToken.test(credential.token.reveal());
    case 'negotiate':
      // Its provider looks into it first, and says what it is: NTLM is no malformed credential.
      return true;
  }
}

/**
 * Whether both are worth asking a provider about: not empty (an empty password is an anonymous bind in a directory,
 * RFC 4513 section 5.1.2), within bounds, well-formed Unicode, without control characters.
 */
export function isAcceptableInput(username: string, password: Secret): boolean {
  const text = password.reveal();
  return (
    username.trim() !== '' &&
    text !== '' &&
    isPlainText(username, maxUsernameBytes) &&
    isPlainText(text, maxPasswordBytes)
  );
}

function isPlainText(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes || !text.isWellFormed() || Buffer.byteLength(text) > maxBytes) return false;
  for (let i = 0; i < text.length; i++) if (isControl(text.charCodeAt(i))) return false;
  return true;
}

/** A typed name for the audit line: cut, control characters written out. */
export function describeAccount(typed: string): string {
  let shown = '';
  for (const character of typed.toWellFormed()) {
    const code = character.codePointAt(0) ?? 0;
    shown += isControl(code) ? `\\x${code.toString(16).padStart(2, '0')}` : character;
    if (shown.length >= maxLoggedCharacters) return `${shown}…`;
  }
  return shown;
}

/** C0, DEL and C1. */
function isControl(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

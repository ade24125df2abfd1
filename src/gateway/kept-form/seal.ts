/**
 * How a form is sealed while it waits. Its key comes from two halves, the ticket in the sender's cookie and a salt in
 * the memory of the primary process: neither who holds the store nor who holds the cookie can read it alone.
 */
import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';

/** What is needed to send the form once more. Never for a log. */
export interface SealedForm {
  /** Name of the application it was for. */
  readonly application: string;
  /** Path and query, as they came. */
  readonly target: string;
  readonly body: string;
}

const algorithm = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;

/** `origin`: `scheme://host[:port]`. Another origin asks for another name, so a ticket is worth nothing elsewhere. */
export function formId(ticket: string, origin: string): string {
  return hash('sha256', `kept form\0${ticket}\0${origin}`, 'base64url');
}

export function sealForm(form: SealedForm, ticket: string, origin: string, salt: Uint8Array): Uint8Array {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv(algorithm, keyOf(ticket, salt), iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(origin));
  const text = Buffer.concat([cipher.update(JSON.stringify(form), 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), text]);
}

/** Throws for anything but what `sealForm` made for this ticket, origin and salt: a defect, the name was theirs. */
export function openForm(sealed: Uint8Array, ticket: string, origin: string, salt: Uint8Array): SealedForm {
  const decipher = createDecipheriv(algorithm, keyOf(ticket, salt), sealed.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(origin));
  decipher.setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes));
  const text = Buffer.concat([decipher.update(sealed.subarray(ivBytes + tagBytes)), decipher.final()]);
  return JSON.parse(text.toString('utf8')) as SealedForm;
}

function keyOf(ticket: string, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', ticket, salt, 'vratar kept form', 32));
}

/** The ticket: 256 random bits that name a session. Owns its spelling and its one-way key; knows no cookie and no store. */
import { hash, randomBytes } from 'node:crypto';
import type { SessionKey } from '../state/session-store.ts';

/** 32 bytes as base64url without padding. */
export const ticketLength = 43;

export function createTicket(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Whether `text` is spelled exactly as `createTicket` spells. The last letter carries four bits, so only every fourth
 * one is canonical: a ticket has one spelling, never several that decode to the same bytes.
 */
export function isTicket(text: string): boolean {
  if (text.length !== ticketLength) return false;
  for (let i = 0; i < ticketLength - 1; i++) {
    if (!isBase64Url(text.charCodeAt(i))) return false;
  }
  return lastLetters.includes(text.charAt(ticketLength - 1));
}

/** What stores and logs may hold instead of the ticket: SHA-256, base64url. */
export function toSessionKey(ticket: string): SessionKey {
  return hash('sha256', ticket, 'base64url');
}

const lastLetters = 'AEIMQUYcgkosw048';

function isBase64Url(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x5f
  );
}

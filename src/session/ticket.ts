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
    if (base64Url[text.charCodeAt(i)] !== 1) return false;
  }
  return lastLetters.includes(text.charAt(ticketLength - 1));
}

/** What stores and logs may hold instead of the ticket: SHA-256, base64url. */
export function toSessionKey(ticket: string): SessionKey {
  return hash('sha256', ticket, 'base64url');
}

const lastLetters = 'AEIMQUYcgkosw048';

/** By character code: 1 for the letters of base64url. A code beyond the table is none of them. */
const base64Url = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

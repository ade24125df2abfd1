/**
 * What the library's words mean. It gives no codes, only English sentences of libgssapi and libkrb5 with names the
 * client chose in the middle: so only what the sentence ends with, or begins with, is looked at. Pinned by tests against the
 * real library.
 */
import type { TicketRejection } from '../../identity/outcome.ts';
import type { Obstacle, Verdict } from './verdict.ts';

type Row =
  | readonly [ending: RegExp, kind: 'refused', reason: TicketRejection]
  | readonly [ending: RegExp, kind: 'unable', obstacle: Obstacle];

const rows: readonly Row[] = [
  [/ not found in keytab; keytab is likely out of date$/, 'refused', 'kvno-old'],
  [/ not found in keytab; ticket is likely out of date$/, 'refused', 'ticket-old'],
  [/ found in keytab but cannot decrypt ticket$/, 'refused', 'key-mismatch'],
  [/ found in keytab but not with enctype [a-z0-9-]+$/, 'refused', 'enctype-missing'],
  [/ not found in keytab \(ticket kvno \d+\)$/, 'refused', 'spn-mismatch'],
  [/^Unspecified.* found in keytab but does not match server principal /, 'refused', 'spn-mismatch'],
  [/: Decrypt integrity check failed$/, 'refused', 'ticket-refused'],
  [/: Clock skew too great$/, 'refused', 'skew'],
  [/: Ticket not yet valid$/, 'refused', 'skew'],
  [/: Ticket expired$/, 'refused', 'ticket-old'],
  [/: Request is a replay$/, 'refused', 'replay'],
  [/: Token header is malformed or corrupt$/, 'refused', 'token-malformed'],
  [/^Invalid token was supplied: /, 'refused', 'token-malformed'],
  [/^An unsupported mechanism was requested: /, 'refused', 'mechanism-not-supported'],
  // The library has no other word for "continue": what could not be read is the parameter that it did not get.
  [/^A required input parameter could not be read: /, 'refused', 'continuation-needed'],
  // No keys for the mechanism the client named, not for any: the keytab's faults end with other words.
  [/^No credentials were supplied.*: Unknown error$/, 'refused', 'mechanism-not-supported'],
  [/^No credentials were supplied/, 'unable', 'keytab-unusable'],
  [/: SPNEGO cannot find mechanisms to negotiate$/, 'unable', 'keytab-unusable'],
  [
    /: (Key table file '.*' not found|Unsupported key table format version number)$/,
    'unable',
    'keytab-unusable',
  ],
  [/ \(filename: [^)]*\)$/, 'unable', 'replay-store-unusable'],
  [/: (No space left on device|Permission denied|Read-only file system)$/, 'unable', 'replay-store-unusable'],
];

const maxDetailCharacters = 200;

/** What a failed validation means; words that are not in the table are a refusal like any other. */
export function verdictOfFailure(words: string): Extract<Verdict, { kind: 'refused' | 'unable' }> {
  const detail = printable(words);
  for (const [ending, kind, meaning] of rows) {
    if (!ending.test(words)) continue;
    return kind === 'refused' ? { kind, reason: meaning, detail } : { kind, obstacle: meaning, detail };
  }
  return { kind: 'refused', reason: 'ticket-refused', detail };
}

/** Without what could move a terminal's cursor or pretend to be another line; the end matters most. */
function printable(words: string): string {
  const plain = words.replace(/^Unspecified GSS failure\.\s+Minor code may provide more information: /, '');
  const safe = plain.replace(/[^\x20-\x7e]/g, '?');
  return safe.length <= maxDetailCharacters ? safe : `…${safe.slice(-maxDetailCharacters)}`;
}

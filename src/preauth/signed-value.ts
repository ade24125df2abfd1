/**
 * What may stand in a preauth signature, and nothing else. The signature joins its values with `|` and says nothing about
 * where one ends: a value with a bar in it would be signed for another account or another right.
 */

export const accountKinds = ['name', 'id', 'foreignPrincipal'] as const;
/** Kinds of identifiers that Zimbra documents for `by`. */
export type AccountKind = (typeof accountKinds)[number];

/** Why there is no account to sign for. */
export type AccountFault = 'account-missing' | 'account-malformed' | 'account-not-ascii' | 'domain-unknown';

export interface MailAccount {
  /** Exactly as it is signed and sent. */
  readonly account: string;
  /** Whose key signs, in lower case. */
  readonly domain: string;
}

/** Longest identifier Zimbra's own directory takes for an address (RFC 5321 section 4.5.3.1). */
const maxLength = 254;

/** RFC 5321 dot-string without the bar, which would end the value. Quoted local parts do not occur in Zimbra. */
const localPart = /^[A-Za-z0-9!#$%&'*+/=?^_`{}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{}~-]+)*$/;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Control, format and unassigned characters, lone halves of pairs, line and paragraph separators, and the bar. */
const unsignable = /[\p{C}\p{Zl}\p{Zp}|]/u;

/** Whether text can stand between two bars at all. Whatever a kind of identifier allows is narrower. */
export function isSignable(text: string): boolean {
  return text !== '' && text.length <= maxLength && !unsignable.test(text) && text.trim() === text;
}

export interface AccountRules {
  readonly by: AccountKind;
  /** Lower case. A name in another domain is never signed for. */
  readonly hasDomain: (domain: string) => boolean;
  /** Whose key signs for an identifier that names no domain itself; for `by: name` it is not looked at. */
  readonly domain: string | undefined;
}

/** The account `text` identifies, or why it may not be signed for. */
export function readAccount(
  text: string,
  { by, hasDomain, domain }: AccountRules,
): MailAccount | AccountFault {
  if (text === '') return 'account-missing';
  if (!isSignable(text)) return 'account-malformed';
  if (by === 'name') return readName(text, hasDomain);
  if (by === 'id' && !uuid.test(text)) return 'account-malformed';
  const own = domain?.toLowerCase() ?? '';
  return hasDomain(own) ? { account: text, domain: own } : 'domain-unknown';
}

/** Servers decode names in their platform's charset: beyond ASCII the two sides may sign different bytes. */
function readName(text: string, hasDomain: AccountRules['hasDomain']): MailAccount | AccountFault {
  if (/[\u{80}-\u{10ffff}]/u.test(text)) return 'account-not-ascii';
  const at = text.indexOf('@');
  if (at < 0 || !localPart.test(text.slice(0, at))) return 'account-malformed';
  const domain = text.slice(at + 1).toLowerCase();
  return hasDomain(domain) ? { account: text, domain } : 'domain-unknown';
}

/**
 * What somebody typed as account name, read strictly: one spelling for everything that looks and compares alike, and
 * which part of it names a directory. Knows neither directories nor whether the account exists.
 */
import { domainToASCII } from 'node:url';

/** Long input makes directory servers close pooled connections, so that one guest's typing costs others their sign-in. */
export const maxAccountBytes = 256;

export type AccountName =
  | { readonly kind: 'plain'; readonly text: string }
  /** `name@suffix`: an e-mail address, a user principal name, a Kerberos principal. */
  | { readonly kind: 'suffixed'; readonly text: string; readonly name: string; readonly suffix: string }
  /** `DOMAIN\name`, as Windows writes it. */
  | { readonly kind: 'qualified'; readonly text: string; readonly name: string; readonly domain: string };

/** Suffixes and domains that are one provider's own, folded. */
export interface NameClaims {
  readonly suffixes: ReadonlySet<string>;
  readonly domains: ReadonlySet<string>;
}

export const noClaims: NameClaims = { suffixes: new Set(), domains: new Set() };

// oxlint-disable-next-line no-control-regex -- C0, DEL and C1 in a name are what is refused here
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/;
/** Seen by nobody, and mapped to nothing by directories as well (RFC 4518 section 2.2). */
const invisibleCharacters = /[\p{Cf}\p{Default_Ignorable_Code_Point}\ufffc]/gu;

const domainShape = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}._-]*[\p{L}\p{M}\p{N}])?$/u;
const suffixLabel = /^[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}])?$/u;

/**
 * `undefined`: no account name. What is told apart by nothing but width, composition, invisible characters or blanks
 * around it becomes the same; so a full-width "@" separates like any other. A backslash separates only behind what may
 * be a domain: some directories have account names with one.
 */
export function parseAccountName(typed: string): AccountName | undefined {
  const text = normalizeAccount(typed);
  if (text === undefined) return undefined;
  const backslash = text.indexOf('\\');
  const domain = text.slice(0, Math.max(0, backslash));
  if (domainShape.test(domain)) {
    const name = text.slice(backslash + 1);
    return isPart(name) ? { kind: 'qualified', text, name, domain: foldAccount(domain) } : undefined;
  }
  const at = text.indexOf('@');
  if (at < 0) return { kind: 'plain', text };
  const name = text.slice(0, at);
  const suffix = text.slice(at + 1);
  // An empty label is a dot too many: `example.com.` could evade what is said of `example.com`.
  if (!isPart(name) || !suffix.split('.').every((label) => suffixLabel.test(label))) return undefined;
  return { kind: 'suffixed', text, name, suffix: foldSuffix(suffix) };
}

/** Not empty, no blank beside the separator, and no second separator: two readers would split it differently. */
function isPart(name: string): boolean {
  return name !== '' && name.trim() === name && !/[\\@]/.test(name);
}

function normalizeAccount(typed: string): string | undefined {
  if (typed.length > maxAccountBytes || !typed.isWellFormed() || controlCharacters.test(typed))
    return undefined;
  const text = composed(typed).trim();
  const isBounded = Buffer.byteLength(text) <= maxAccountBytes && Buffer.byteLength(typed) <= maxAccountBytes;
  return text !== '' && isBounded ? text : undefined;
}

function composed(text: string): string {
  return text.normalize('NFKC').replace(invisibleCharacters, '').normalize('NFKC');
}

/** One key for every spelling that directories take for the same name. Takes any text, also what is no account name. */
export function foldAccount(account: string): string {
  return composed(composed(account).trim().toLowerCase());
}

/** Internationalised names are compared as the DNS has them (RFC 5891), so both of their spellings are one. */
export function foldSuffix(suffix: string): string {
  const folded = foldAccount(suffix);
  // oxlint-disable-next-line no-control-regex -- ASCII as a whole
  if (/^[\u0000-\u007f]*$/.test(folded) && !folded.includes('xn--')) return folded;
  return domainToASCII(folded) || folded;
}

export function toNameClaims({
  suffixes = [],
  domains = [],
}: {
  readonly suffixes?: readonly string[] | undefined;
  readonly domains?: readonly string[] | undefined;
}): NameClaims {
  return { suffixes: new Set(suffixes.map(foldSuffix)), domains: new Set(domains.map(foldAccount)) };
}

/** Whether the name says that it belongs where these claims were made. `example.com` says nothing of its subdomains. */
export function isClaimed(name: AccountName, claims: NameClaims): boolean {
  switch (name.kind) {
    case 'plain':
      return false;
    case 'suffixed':
      return claims.suffixes.has(name.suffix);
    case 'qualified':
      return claims.domains.has(name.domain);
  }
}

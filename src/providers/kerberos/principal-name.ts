/**
 * From the principal of a ticket to the account name it stands for here. Strict: a name that could be read in two ways
 * belongs to nobody.
 */
import type { TicketRejection } from '../../identity/outcome.ts';

export interface RealmMapping {
  /** Compared exactly: realms are case-sensitive (RFC 4120 section 6.1). */
  readonly realm: string;
  /** `${user}` and `${realm}` stand for the two parts of the principal. */
  readonly username: string;
  readonly lowerCase: boolean;
}

export type MappedName =
  | { readonly kind: 'mapped'; readonly principal: string; readonly username: string }
  | { readonly kind: 'rejected'; readonly reason: TicketRejection };

const maxCharacters = 256;

/**
 * `/` is a role or a service (`alice/admin`, `WELLKNOWN/ANONYMOUS`), `\` an escape in front of a character that would
 * otherwise divide the name: none of them is a person's account. Format characters are invisible.
 */
const neverInAccount = /[\\/@\ufffd\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

export function mapPrincipal(principal: string, realms: readonly RealmMapping[]): MappedName {
  const at = principal.lastIndexOf('@');
  const user = principal.slice(0, Math.max(at, 0));
  const realm = principal.slice(at + 1);
  if (at < 1 || realm === '' || principal.length > maxCharacters || !isAccount(user)) {
    return { kind: 'rejected', reason: 'principal-malformed' };
  }
  const mapping = realms.find((known) => known.realm === realm);
  if (mapping === undefined) return { kind: 'rejected', reason: 'realm-not-allowed' };
  // One pass: what stands in the user's name is not a placeholder.
  const name = mapping.username.replace(/\$\{(user|realm)\}/g, (_, part) => (part === 'user' ? user : realm));
  return { kind: 'mapped', principal, username: mapping.lowerCase ? name.toLowerCase() : name };
}

/** Nearly everybody's name, and nothing that the rules below would refuse. */
const plainAccount = /^[A-Za-z0-9._$-]+$/;

function isAccount(user: string): boolean {
  if (plainAccount.test(user)) return true;
  return (
    user.isWellFormed() &&
    !neverInAccount.test(user) &&
    user.trim() === user &&
    // A directory folds compatibility forms: `ａlice` must not become alice.
    user.normalize('NFKC') === user
  );
}

/** Whether people of two realms could get one account name: then one of them could pass for the other. */
export function canCollide(one: RealmMapping, other: RealmMapping): boolean {
  const fold = (text: string): string => (one.lowerCase || other.lowerCase ? text.toLowerCase() : text);
  const [prefixes, suffixes] = [aroundUser(one), aroundUser(other)].reduce<[string[], string[]]>(
    ([before, after], [prefix, suffix]) => [
      [...before, fold(prefix)],
      [...after, fold(suffix)],
    ],
    [[], []],
  );
  const byLength = (a: string, b: string): number => a.length - b.length;
  const [shortPrefix = '', longPrefix = ''] = prefixes.toSorted(byLength);
  const [shortSuffix = '', longSuffix = ''] = suffixes.toSorted(byLength);
  if (!longPrefix.startsWith(shortPrefix) || !longSuffix.endsWith(shortSuffix)) return false;
  // What one template has more than the other would have to be part of a user's name.
  const more =
    longPrefix.slice(shortPrefix.length) + longSuffix.slice(0, longSuffix.length - shortSuffix.length);
  return !neverInAccount.test(more);
}

function aroundUser({ username, realm }: RealmMapping): readonly [prefix: string, suffix: string] {
  const at = username.indexOf('${user}');
  const fill = (text: string): string => text.replaceAll('${realm}', realm);
  return [fill(username.slice(0, at)), fill(username.slice(at + '${user}'.length))];
}

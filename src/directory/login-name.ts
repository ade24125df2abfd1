/** What may be asked of a directory: limits on names and passwords, checked before any socket is touched. */
import { isClaimed, type NameClaims, noClaims, parseAccountName } from '../identity/account-name.ts';
import type { Secret } from '../lib/secret.ts';

/** Long input makes servers close pooled connections, so that one guest's typing costs others their sign-in. */
const maxPasswordBytes = 1_024;

/** What one typed name may be called in a directory. All of it must lead to one entry. */
export interface LoginName {
  /** Compared where the filter says %USERNAME%; never empty. */
  readonly usernames: readonly [string, ...string[]];
  /** The whole `name@suffix`, compared where the filter says %ADDRESS%. */
  readonly address: string | undefined;
}

/**
 * `undefined`: not a name. Suffix and domain are taken off only where they are this directory's own: what stands in
 * front of a stranger's is the account name of somebody else here.
 */
export function toLoginName(typed: string, claims: NameClaims = noClaims): LoginName | undefined {
  const account = parseAccountName(typed);
  if (account === undefined) return undefined;
  const { text } = account;
  const address = account.kind === 'suffixed' ? text : undefined;
  if (account.kind === 'plain' || !isClaimed(account, claims)) return { usernames: [text], address };
  // An account name may be an address as well.
  return { usernames: account.kind === 'suffixed' ? [account.name, text] : [account.name], address };
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

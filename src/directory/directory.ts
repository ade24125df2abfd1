/** What the rest of the gateway may ask of an LDAP directory. Only this folder knows that it speaks LDAP. */
import type { NameClaims } from '../identity/account-name.ts';
import type { PasswordPair } from '../identity/credential.ts';
import type { Group } from '../identity/group.ts';
import type { PasswordChangeOutcome, PasswordChangeWay, RejectionReason } from '../identity/outcome.ts';
import type { Secret } from '../lib/secret.ts';

export interface DirectoryPerson {
  readonly dn: string;
  /** Stable across renames: entryUUID, objectGUID, nsUniqueId; the normalised DN where the server has none. */
  readonly id: string;
  /** Canonical value of the configured user name attribute. */
  readonly username: string;
  readonly email: string | undefined;
  readonly displayName: string | undefined;
  readonly givenName: string | undefined;
  readonly familyName: string | undefined;
  /** Further configured attributes by configured name. */
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly groups: readonly Group[];
}

export type VerificationOutcome =
  | { readonly kind: 'verified'; readonly person: DirectoryPerson }
  | {
      readonly kind: 'rejected';
      readonly reason: RejectionReason;
      /** The password was right, and has to be changed before it is good for anything. */
      readonly passwordChange?: PasswordChangeWay;
    };

export type LookupOutcome =
  /** `stale`: the directory is away and this is the last known answer, not older than `cache.staleFor`. */
  | { readonly kind: 'found'; readonly person: DirectoryPerson; readonly stale: boolean }
  | { readonly kind: 'ended'; readonly reason: RejectionReason };

export interface DirectoryHealth {
  readonly name: string;
  readonly servers: readonly {
    readonly url: string;
    readonly available: boolean;
    readonly reason?: string;
    /** Nobody knows yet: the first attempt is under way. */
    readonly isPending?: true;
    /** LDAP result with which the service account was refused, as long as it is not tried again. */
    readonly refusal?: number;
  }[];
}

export interface VerificationOptions {
  readonly signal: AbortSignal;
  /** Suffixes and domains that are taken off typed names here; omitted: none. */
  readonly claims?: NameClaims;
  /** Called with the canonical account once the entry is known, before its password is tried. May throw. */
  admit(canonicalAccount: string): Promise<void>;
}

/** Failures to answer are thrown as GatewayError PROVIDER_UNAVAILABLE, PROVIDER_PROTOCOL or PROVIDER_MISCONFIGURED. */
export interface Directory extends AsyncDisposable {
  readonly name: string;
  /** Search, status checks, bind as the person, groups. */
  verify(username: string, password: Secret, options: VerificationOptions): Promise<VerificationOutcome>;
  /**
   * A new password for somebody whose old one is right but no longer good; only over connections that protect both.
   * Once the request is sent it is not repeated: when no answer comes, nobody knows which password counts.
   */
  changePassword(
    username: string,
    passwords: PasswordPair,
    options: VerificationOptions,
  ): Promise<PasswordChangeOutcome>;
  /** Reads person, status and groups again, through the cache. `id` and `username` as `verify` returned them. */
  lookup(
    person: { readonly id: string; readonly username: string },
    signal: AbortSignal,
  ): Promise<LookupOutcome>;
  /**
   * The person of an account name that somebody else vouches for: as `lookup`, but found by name, and never stale. An
   * account that is disabled, locked, expired or ambiguous has ended.
   */
  find(username: string, signal: AbortSignal): Promise<LookupOutcome>;
  health(): DirectoryHealth;
}

/** What a provider says of a credential. "Cannot tell" is not here: it is thrown as GatewayError PROVIDER_UNAVAILABLE. */
import type { Principal } from './principal.ts';

/** Why a credential was refused: for the audit log and metrics only, the client always sees one and the same text. */
export type RejectionReason =
  | 'credentials-malformed'
  | 'unknown-account'
  | 'ambiguous-account'
  | 'wrong-password'
  | 'account-disabled'
  | 'account-locked'
  | 'account-expired'
  | 'password-expired'
  | 'password-must-change'
  | 'sign-in-not-permitted'
  | TicketRejection;

/** Why a Kerberos ticket was refused; also the `result` of `vratar_kerberos_accepts_total`. */
export type TicketRejection =
  | 'token-malformed'
  | 'token-too-long'
  | 'ntlm'
  | 'mechanism-not-supported'
  | 'spn-mismatch'
  | 'kvno-old'
  | 'ticket-old'
  | 'key-mismatch'
  | 'enctype-missing'
  | 'skew'
  | 'replay'
  | 'ticket-refused'
  | 'continuation-needed'
  | 'principal-malformed'
  | 'realm-not-allowed';

/** How somebody whose password is right, but no longer good, comes to a new one. */
export type PasswordChangeWay =
  /** The gateway asks the directory for it. */
  | { readonly kind: 'here' }
  /** At an https address of the operator's. */
  | { readonly kind: 'elsewhere'; readonly url: string }
  /** Somebody has to be asked. */
  | { readonly kind: 'nowhere' };

/** Why a new password was not taken, although the old one was right or was not even looked at. The old one stays. */
export type PasswordRefusal =
  | 'mismatch'
  | 'same'
  | 'malformed'
  | 'too-short'
  | 'quality'
  | 'in-history'
  | 'too-young'
  /** Some rule of the directory, which does not say which. */
  | 'rules'
  | 'not-allowed'
  | 'not-required';

export type PasswordChangeOutcome =
  | { readonly kind: 'changed' }
  | { readonly kind: 'refused'; readonly reason: PasswordRefusal }
  /** The old password was not accepted; the client learns nothing else. */
  | { readonly kind: 'rejected'; readonly reason: RejectionReason };

export type HeaderPair = readonly [name: string, value: string];

export type AuthenticationOutcome =
  | {
      readonly kind: 'authenticated';
      readonly principal: Principal;
      /** What the answer has to carry back to the client: the last token of a negotiation. */
      readonly headers?: readonly HeaderPair[];
    }
  | { readonly kind: 'not-applicable' }
  | { readonly kind: 'challenge'; readonly headers: readonly HeaderPair[] }
  | {
      readonly kind: 'rejected';
      readonly reason: RejectionReason;
      /** Only for who has proven the password: it has to be changed before it opens anything. */
      readonly passwordChange?: { readonly provider: string; readonly way: PasswordChangeWay };
    };

/** What a provider says when asked again about somebody who is signed in. */
export type RefreshOutcome =
  /** `stale`: the provider's source is away and the answer is the last known one. */
  | { readonly kind: 'current'; readonly principal: Principal; readonly stale: boolean }
  /** The account no longer may be signed in: the session ends. */
  | { readonly kind: 'ended'; readonly reason: RejectionReason };

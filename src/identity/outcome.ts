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
  | { readonly kind: 'rejected'; readonly reason: RejectionReason };

/** What a provider says when asked again about somebody who is signed in. */
export type RefreshOutcome =
  /** `stale`: the provider's source is away and the answer is the last known one. */
  | { readonly kind: 'current'; readonly principal: Principal; readonly stale: boolean }
  /** The account no longer may be signed in: the session ends. */
  | { readonly kind: 'ended'; readonly reason: RejectionReason };

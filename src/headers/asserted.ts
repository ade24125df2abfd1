/** What is said of a signed assertion where nobody needs to sign: its header, its facts, and who makes it. */
import type { Principal } from '../identity/principal.ts';

export const assertionHeader = 'X-Vratar-Assertion';

/** A key of P-256 as a JWK, private part included. */
export interface AssertionKey {
  readonly kid: string;
  readonly jwk: {
    readonly kty: 'EC';
    readonly crv: 'P-256';
    readonly x: string;
    readonly y: string;
    readonly d: string;
  };
}

/** What depends on the application. */
export interface AssertedFacts {
  /** The application's name. */
  readonly audience: string;
  /** `undefined`: too many; then `groupsOverflow` is their number. */
  readonly groups: readonly string[] | undefined;
  readonly groupsOverflow: number | undefined;
}

export interface SignedAssertion {
  readonly token: string;
  /** `AssertionSigner.generation` when it was signed. */
  readonly generation: number;
  /** Instants are milliseconds since the epoch. */
  readonly renewAtMs: number;
  readonly servedUntilMs: number;
}

export interface AssertionSigner {
  /** Grows with every change of the signing key: what was signed before is not handed out any more. */
  readonly generation: number;
  sign(principal: Principal, facts: AssertedFacts, nowMs: number): Promise<SignedAssertion>;
  /** The first key signs from now on. */
  useKeys(keys: readonly AssertionKey[]): void;
}

/** RFC 7517: the public halves, as `/_vratar/jwks.json` shows them. */
export function publicKeySet(keys: readonly AssertionKey[]): { readonly keys: readonly object[] } {
  return {
    keys: keys.map(({ kid, jwk: { kty, crv, x, y } }) => ({ kty, crv, x, y, kid, use: 'sig', alg: 'ES256' })),
  };
}

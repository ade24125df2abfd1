/**
 * The signed identity assertion: a JWT (RFC 7519) with the same facts as the identity headers, for applications that
 * do not want to trust a network. Signs and publishes; when a signature is made and how long it is reused is the
 * caller's decision.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Principal } from '../identity/principal.ts';
import type { AssertedFacts, AssertionKey, AssertionSigner, SignedAssertion } from './asserted.ts';

/** How long an assertion is valid. */
export const lifetimeMs = 300_000;
/** A new one is made from this age on, while the old one still serves. */
const renewAfterMs = 120_000;
/** Not handed out any more at this age: what an application gets is valid for two more minutes. */
const servedForMs = 180_000;

/** `issuer`: `server.publicUrl`. */
export function createAssertionSigner(issuer: string, keys: readonly AssertionKey[]): AssertionSigner {
  return new JwtSigner(issuer, keys);
}

class JwtSigner implements AssertionSigner {
  readonly #issuer: string;
  #kid = '';
  #key: KeyObject | undefined;
  generation = 0;

  constructor(issuer: string, keys: readonly AssertionKey[]) {
    this.#issuer = issuer;
    this.useKeys(keys);
  }

  useKeys([signing]: readonly AssertionKey[]): void {
    if (signing === undefined) throw new RangeError('a ring without keys signs nothing');
    if (signing.kid === this.#kid) return;
    this.#kid = signing.kid;
    this.#key = createPrivateKey({ key: { ...signing.jwk }, format: 'jwk' });
    this.generation++;
  }

  async sign(
    principal: Principal,
    { audience, groups, groupsOverflow }: AssertedFacts,
    nowMs: number,
  ): Promise<SignedAssertion> {
    const { generation } = this;
    const issuedAt = Math.floor(nowMs / 1_000);
    const token = await new SignJWT({
      username: principal.username,
      email: principal.email,
      name: principal.displayName,
      provider: principal.provider,
      groups,
      groupsOverflow,
      roles: principal.roles,
      accessLevel: principal.accessLevel,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: this.#kid })
      .setIssuer(this.#issuer)
      .setAudience(audience)
      .setSubject(principal.subject)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifetimeMs / 1_000)
      .sign(this.#key as KeyObject);
    return { token, generation, renewAtMs: nowMs + renewAfterMs, servedUntilMs: nowMs + servedForMs };
  }
}

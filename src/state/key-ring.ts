/**
 * The keys that sign identity assertions: one that signs, one that is published ahead of its time, and retired ones
 * that are published until nothing signed with them is valid any more. Pure; where the ring is kept is not its concern.
 */
import { generateKeyPairSync, hash } from 'node:crypto';

/** An EC key of P-256 as a JWK (RFC 7518 section 6.2), private part included: never for a log. */
export interface PrivateJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly d: string;
}

export interface RingKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  /** Instants are milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** Since then it signs nothing. */
  readonly retiredAtMs: number | undefined;
  readonly jwk: PrivateJwk;
}

/** The first key signs, the second is the next one, all others are retired. */
export interface KeyRing {
  readonly keys: readonly RingKey[];
}

/** A retired key stays published: the longest life of an assertion (5 min) and a minute for clocks that differ. */
export const publishedAfterRetirementMs = 360_000;

export function createKeyRing(nowMs: number): KeyRing {
  return { keys: [createKey(nowMs), createKey(nowMs)] };
}

/**
 * The next key signs from now on. Verifiers that remember the published set for a while know it already, so no
 * assertion is refused. `compromised`: whoever has one key has all, so every key is replaced and none stays published.
 */
export function rotateKeyRing({ keys }: KeyRing, nowMs: number, { compromised = false } = {}): KeyRing {
  if (compromised) return createKeyRing(nowMs);
  const [signing, next = createKey(nowMs), ...retired] = keys;
  const justRetired = signing === undefined ? [] : [{ ...signing, retiredAtMs: nowMs }];
  return {
    keys: [next, createKey(nowMs), ...[...justRetired, ...retired].filter((key) => isPublished(key, nowMs))],
  };
}

export function isPublished({ retiredAtMs }: RingKey, nowMs: number): boolean {
  return retiredAtMs === undefined || nowMs < retiredAtMs + publishedAfterRetirementMs;
}

function createKey(createdAtMs: number): RingKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y, d } = privateKey.export({ format: 'jwk' }) as PrivateJwk;
  const jwk: PrivateJwk = { kty: 'EC', crv: 'P-256', x, y, d };
  return { kid: thumbprint(jwk), createdAtMs, retiredAtMs: undefined, jwk };
}

/** RFC 7638 section 3: the required members in lexicographic order, without blanks. */
export function thumbprint({ crv, kty, x, y }: PrivateJwk): string {
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url');
}

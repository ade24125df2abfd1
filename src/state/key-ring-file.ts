/**
 * The key ring on disk, written by the primary alone and replaced as a whole. A damaged file is an error, never
 * overwritten: keys that vanish in silence would be missed only when every application refuses the assertions.
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { GatewayError } from '../errors.ts';
import {
  createKeyRing,
  type KeyRing,
  type PrivateJwk,
  type RingKey,
  rotateKeyRing,
  thumbprint,
} from './key-ring.ts';

const layoutVersion = 1;

export interface KeyRingFile {
  readonly ring: KeyRing;
  /** Whether other accounts of the machine can read the keys. */
  readonly isExposed: boolean;
  /** Stored before it is answered. Throws GatewayError SESSION_STORE_UNAVAILABLE. */
  rotate(nowMs: number, options: { readonly compromised: boolean }): KeyRing;
}

/** Reads the ring, or makes one when there is no file. Throws GatewayError CONFIG_INVALID that names the file. */
export function openKeyRingFile(path: string, nowMs: number): KeyRingFile {
  let { ring, isExposed } = read(path) ?? { ring: create(path, nowMs), isExposed: false };
  return {
    get ring() {
      return ring;
    },
    get isExposed() {
      return isExposed;
    },
    rotate: (atMs, options) => {
      const rotated = rotateKeyRing(ring, atMs, options);
      try {
        write(path, rotated);
      } catch (cause) {
        throw new GatewayError('SESSION_STORE_UNAVAILABLE', `${path} cannot be written`, { cause });
      }
      ring = rotated;
      isExposed = false;
      return ring;
    },
  };
}

function create(path: string, nowMs: number): KeyRing {
  const ring = createKeyRing(nowMs);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    write(path, ring);
  } catch (cause) {
    throw invalid(path, 'cannot be written', cause);
  }
  return ring;
}

/** `undefined`: there is no file. */
function read(path: string): { ring: KeyRing; isExposed: boolean } | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw invalid(path, 'cannot be read', cause);
  }
  try {
    const isExposed = (fstatSync(descriptor).mode & 0o077) !== 0;
    const ring = parse(readFileSync(descriptor, 'utf8'));
    if (ring === undefined) throw invalid(path, 'is no key ring of this version, or is damaged');
    return { ring, isExposed };
  } finally {
    closeSync(descriptor);
  }
}

/** Replaced at once and durably: a crash leaves the old ring or the new one, never half of one. */
function write(path: string, { keys }: KeyRing): void {
  const draft = `${path}.new`;
  const descriptor = openSync(draft, 'w', 0o600);
  try {
    fchmodSync(descriptor, 0o600);
    writeFileSync(descriptor, `${JSON.stringify({ version: layoutVersion, keys }, undefined, 2)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** `undefined` for anything but a ring this version wrote: every field is checked, keys are tried. */
export function parse(text: string): KeyRing | undefined {
  const document = parseJson(text);
  if (!isRecord(document) || document['version'] !== layoutVersion) return undefined;
  const { keys } = document as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length < 2) return undefined;
  const parsed = keys.map(parseKey);
  return parsed.every((key) => key !== undefined) ? { keys: parsed } : undefined;
}

function parseKey(value: unknown): RingKey | undefined {
  if (!isRecord(value) || !isRecord(value['jwk'])) return undefined;
  const { kid, createdAtMs, retiredAtMs } = value;
  if (typeof kid !== 'string' || typeof createdAtMs !== 'number') return undefined;
  if (retiredAtMs !== undefined && typeof retiredAtMs !== 'number') return undefined;
  const { kty, crv, x, y, d } = value['jwk'];
  if (kty !== 'EC' || crv !== 'P-256') return undefined;
  if (typeof x !== 'string' || typeof y !== 'string' || typeof d !== 'string') return undefined;
  const jwk: PrivateJwk = { kty, crv, x, y, d };
  return kid === thumbprint(jwk) && isKeyPair(jwk) ? { kid, createdAtMs, retiredAtMs, jwk } : undefined;
}

const probe = Buffer.from('probe');

/** Whether the public half belongs to the private one: otherwise nobody could verify what is signed. */
function isKeyPair(jwk: PrivateJwk): boolean {
  try {
    const { kty, crv, x, y } = jwk;
    const signature = sign('sha256', probe, createPrivateKey({ key: { ...jwk }, format: 'jwk' }));
    return verify('sha256', probe, createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' }), signature);
  } catch (error) {
    // What node:crypto says of a malformed key; it has a code of OpenSSL or of Node.
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(path: string, problem: string, cause?: unknown): GatewayError {
  return new GatewayError('CONFIG_INVALID', `${path} ${problem}`, { cause, fields: { path } });
}

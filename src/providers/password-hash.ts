/**
 * Argon2id hashes in PHC spelling: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`. Owns parameters and their bounds;
 * knows no account.
 */
import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import { Semaphore } from '../lib/semaphore.ts';

export interface PasswordHash {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

/** OWASP's first choice for argon2id: 19 MiB, two passes; 25 to 40 ms on one core. */
const defaults = { memoryKib: 19_456, passes: 2, parallelism: 1 } as const;
const saltBytes = 16;
const tagBytes = 32;

/** A hash in the configuration must not be able to take the machine down: at most 256 MiB and some seconds. */
const bounds = {
  memoryKib: [8, 262_144],
  passes: [1, 16],
  parallelism: [1, 8],
  saltBytes: [8, 64],
  tagBytes: [16, 64],
} as const;

const phcPattern =
  /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})$/;

/** `undefined`: not an argon2id hash within the bounds. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = phcPattern.exec(text);
  if (match === null) return undefined;
  const [memoryKib = 0, passes = 0, parallelism = 0] = match.slice(1, 4).map(Number);
  const salt = decode(match[4] ?? '');
  const tag = decode(match[5] ?? '');
  if (salt === undefined || tag === undefined) return undefined;
  const isWithin = (value: number, [min, max]: readonly [number, number]): boolean =>
    value >= min && value <= max;
  const isValid =
    isWithin(memoryKib, bounds.memoryKib) &&
    isWithin(passes, bounds.passes) &&
    isWithin(parallelism, bounds.parallelism) &&
    isWithin(salt.length, bounds.saltBytes) &&
    isWithin(tag.length, bounds.tagBytes) &&
    // RFC 9106 section 3.1: at least eight blocks per lane.
    memoryKib >= 8 * parallelism;
  return isValid ? { memoryKib, passes, parallelism, salt, tag } : undefined;
}

export function formatPasswordHash({ memoryKib, passes, parallelism, salt, tag }: PasswordHash): string {
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}$${encode(salt)}$${encode(tag)}`;
}

/** A new hash with a new salt, in PHC spelling. */
export async function createPasswordHash(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const tag = await derive(password, { ...defaults, salt, tag: Buffer.alloc(tagBytes) });
  return formatPasswordHash({ ...defaults, salt, tag });
}

/** A hash of nothing with the parameters of another: checking it costs the same time and never succeeds. */
export function createDecoyHash(like: PasswordHash): PasswordHash {
  return { ...like, salt: randomBytes(like.salt.length), tag: randomBytes(like.tag.length) };
}

/** Hashes take a core and tens of MiB each: two at a time, and a queue that ends. */
const parallelHashes = 2;
const maxQueued = 64;

export class PasswordVerifier {
  readonly #places = new Semaphore(parallelHashes);
  #present = 0;

  /**
   * Whether `password` made `expected`. Throws GatewayError PROVIDER_UNAVAILABLE when too many wait already, and the
   * signal's reason when nobody waits for the answer any more.
   */
  async verify(expected: PasswordHash, password: string, signal: AbortSignal): Promise<boolean> {
    if (this.#present >= parallelHashes + maxQueued) {
      throw new GatewayError('PROVIDER_UNAVAILABLE', 'too many passwords wait to be checked', {
        retryAfterSeconds: 2,
      });
    }
    this.#present++;
    try {
      return await this.#places.run(async () => {
        if (signal.aborted) throw toUnavailable(signal.reason);
        return timingSafeEqual(await derive(password, expected), expected.tag);
      });
    } finally {
      this.#present--;
    }
  }
}

function toUnavailable(cause: unknown): GatewayError {
  return new GatewayError('PROVIDER_UNAVAILABLE', 'the check of the password came too late', { cause });
}

async function derive(password: string, like: PasswordHash): Promise<Buffer> {
  const parameters: Argon2Parameters = {
    // One spelling of accented letters, whatever the keyboard composes (RFC 8265 section 4.2.2 rule 4).
    message: password.normalize('NFC'),
    nonce: like.salt,
    memory: like.memoryKib,
    passes: like.passes,
    parallelism: like.parallelism,
    tagLength: like.tag.length,
  };
  return await new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, tag) => (error === null ? resolve(tag) : reject(error)));
  });
}

/** Base64 without padding, as PHC strings have it; only the canonical spelling. */
function encode(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return encode(bytes) === text ? bytes : undefined;
}

/** The keys of one mail domain, and which of them counts while one takes the place of the other. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { ZimbraOptions } from './options.ts';

type DomainOptions = ZimbraOptions['domains'][string];

export class DomainKeys {
  readonly #current: KeyObject;
  readonly #next: KeyObject | undefined;
  readonly #nextFromMs: number | undefined;
  /** Learnt from Zimbra itself. */
  #accepted: KeyObject | undefined;

  constructor({ preauthKey, nextPreauthKey, nextKeyFrom }: DomainOptions) {
    this.#current = toKey(preauthKey);
    this.#next = nextPreauthKey === undefined ? undefined : toKey(nextPreauthKey);
    this.#nextFromMs = nextKeyFrom;
  }

  /** The key to sign with, for a link whose fate nobody hears of. */
  at(nowMs: number): KeyObject {
    if (this.#accepted !== undefined) return this.#accepted;
    if (this.#next === undefined || this.#nextFromMs === undefined) return this.#current;
    return nowMs >= this.#nextFromMs ? this.#next : this.#current;
  }

  /** All keys, the likeliest first. */
  inOrder(nowMs: number): readonly KeyObject[] {
    if (this.#next === undefined) return [this.#current];
    const first = this.at(nowMs);
    return [first, first === this.#next ? this.#current : this.#next];
  }

  /** Zimbra took a signature made with this key. */
  accept(key: KeyObject): void {
    if (this.#next !== undefined) this.#accepted = key;
  }

  isNext(key: KeyObject): boolean {
    return key === this.#next;
  }
}

/** Zimbra uses the text of the digits as the key, not the bytes they stand for. */
function toKey(secret: DomainOptions['preauthKey']): KeyObject {
  return createSecretKey(Buffer.from(secret.reveal(), 'ascii'));
}

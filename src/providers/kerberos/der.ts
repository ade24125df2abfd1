/**
 * Reads definite-length BER of which only the beginning may be at hand: lengths may reach beyond the bytes, values may
 * not. Every step is checked against the bytes and against the element around it; nothing is allocated.
 */

/** The bytes are not what was expected at this place. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** Where something begins and ends; the end may lie beyond the bytes at hand. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A cursor over the elements within `from` and `to`. Throws DerError. */
export class DerReader {
  readonly #bytes: Buffer;
  readonly #to: number;
  #at: number;

  constructor(bytes: Buffer, { from, to }: Span) {
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#to;
  }

  /** The next element's tag, without going there; `undefined` at the end. */
  peekTag(): number | undefined {
    return this.isAtEnd ? undefined : this.#byte(this.#at);
  }

  /** Goes past the next element, which must have this tag; answers where its content is. */
  next(tag: number): Span {
    const found = this.#byte(this.#at);
    if (found !== tag) throw new DerError(`tag ${found} where ${tag} was expected`);
    const first = this.#byte(this.#at + 1);
    let from = this.#at + 2;
    let length = first;
    if (first >= 0x80) {
      // 0x80 is the indefinite form; more than four bytes are no length of a token.
      const count = first & 0x7f;
      if (count === 0 || count > 4) throw new DerError('a length of an unusual form');
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + this.#byte(from + index);
      from += count;
    }
    const to = from + length;
    if (to > this.#to) throw new DerError('an element longer than what holds it');
    this.#at = to;
    return { from, to };
  }

  /** The same, and a cursor over what is in it. */
  into(tag: number): DerReader {
    return new DerReader(this.#bytes, this.next(tag));
  }

  /** The content of the next element as bytes, all of which must be at hand. */
  value(tag: number, maxBytes: number): Buffer {
    const { from, to } = this.next(tag);
    if (to > this.#bytes.length) throw new DerError('a value beyond the beginning of the token');
    if (to - from > maxBytes) throw new DerError('a value longer than expected');
    return this.#bytes.subarray(from, to);
  }

  /** Goes past bytes that stand between elements. */
  expectBytes(expected: Buffer): void {
    const to = this.#at + expected.length;
    if (to > this.#to || to > this.#bytes.length || !this.#bytes.subarray(this.#at, to).equals(expected)) {
      throw new DerError('other bytes than expected');
    }
    this.#at = to;
  }

  #byte(at: number): number {
    const byte = at < this.#to ? this.#bytes[at] : undefined;
    if (byte === undefined) throw new DerError('an end in the middle of an element');
    return byte;
  }
}

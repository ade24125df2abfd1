/** A body in chunks (RFC 9112 section 7.1), taken apart as it comes. Extensions and trailers are dropped. */
import { GatewayError } from '../../errors.ts';

/** Of a size with its extension, and of all trailers together. */
const maxLineBytes = 16_384;
/** The largest size is below 2^52. */
const maxDigits = 13;

const cr = 0x0d;
const lf = 0x0a;
const semicolon = 0x3b;

type Place =
  | 'size'
  | 'blank'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailer'
  | 'trailer-lf'
  | 'last-lf'
  | 'end';

export class ChunkedBody {
  #place: Place = 'size';
  /** Bytes of the present chunk that are still to come. */
  #left = 0;
  #digits = 0;
  #lineBytes = 0;
  /** Of the present trailer. */
  #isLineEmpty = true;

  get isEnded(): boolean {
    return this.#place === 'end';
  }

  /**
   * Takes `bytes` from `from` on and hands out what is content, never copied. Returns where it stopped: behind the last
   * byte, or behind the end of the body. Throws UPSTREAM_PROTOCOL, and is of no use then.
   */
  read(bytes: Buffer, from: number, onData: (content: Buffer) => void): number {
    let at = from;
    while (at < bytes.length && this.#place !== 'end') {
      if (this.#place === 'data') {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#place = 'data-cr';
        onData(bytes.subarray(at, end));
        at = end;
      } else {
        this.#step(bytes[at++] as number);
      }
    }
    return at;
  }

  /** One byte of framing. */
  #step(byte: number): void {
    switch (this.#place) {
      case 'data':
      case 'end':
        break;
      case 'size':
        this.#size(byte);
        break;
      case 'blank':
        // RFC 9112 section 7.1.1: white space may stand before an extension, and nothing else after it.
        this.#count();
        this.#afterSize(byte);
        break;
      case 'extension':
        this.#count();
        if (byte === cr) this.#place = 'size-lf';
        else if (byte === lf) throw malformed();
        break;
      case 'size-lf':
        this.#expect(byte, lf, this.#left === 0 ? 'trailer' : 'data');
        this.#lineBytes = 0;
        this.#digits = 0;
        break;
      case 'data-cr':
        this.#expect(byte, cr, 'data-lf');
        break;
      case 'data-lf':
        this.#expect(byte, lf, 'size');
        break;
      case 'trailer':
        this.#trailer(byte);
        break;
      case 'trailer-lf':
        this.#expect(byte, lf, 'trailer');
        this.#isLineEmpty = true;
        break;
      case 'last-lf':
        this.#expect(byte, lf, 'end');
    }
  }

  #size(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > maxDigits) throw malformed();
      this.#left = this.#left * 16 + digit;
    } else if (this.#digits === 0) {
      throw malformed();
    } else {
      this.#afterSize(byte);
    }
  }

  #afterSize(byte: number): void {
    if (byte === cr) this.#place = 'size-lf';
    else if (byte === semicolon) this.#place = 'extension';
    else if (byte === 0x20 || byte === 0x09) this.#place = 'blank';
    else throw malformed();
  }

  #trailer(byte: number): void {
    if (byte === cr) {
      this.#place = this.#isLineEmpty ? 'last-lf' : 'trailer-lf';
      return;
    }
    if (byte === lf) throw malformed();
    this.#isLineEmpty = false;
    this.#count();
  }

  #count(): void {
    if (++this.#lineBytes > maxLineBytes) throw malformed();
  }

  #expect(byte: number, expected: number, next: Place): void {
    if (byte !== expected) throw malformed();
    this.#place = next;
  }
}

/** -1: none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function malformed(): GatewayError {
  return new GatewayError('UPSTREAM_PROTOCOL', 'the chunks of the answer break the grammar of HTTP');
}

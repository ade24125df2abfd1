/**
 * Elements of BER as LDAP narrows them (RFC 4511 section 5.1): definite lengths, strings in one piece. Reading never
 * looks beyond the element it is in, and never recurses. Knows nothing of LDAP's messages.
 */
// Imported, because the globals of these names are getters that cost more than what is called on them.
import { Buffer, isUtf8 } from 'node:buffer';
import { LdapFailure } from './failures.ts';

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  octets: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The element of these parts, one behind the other. Hot path: bench/ldap.ts. */
export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = startElement(tag, length);
  let at = bytes.length - length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function octets(value: string | Buffer, tag: number = tags.octets): Buffer {
  if (typeof value !== 'string') return element(tag, value);
  const length = Buffer.byteLength(value);
  const bytes = startElement(tag, length);
  bytes.write(value, bytes.length - length);
  return bytes;
}

/** `value`: 0 to 2^31 - 1, which is all that LDAP has. */
export function integer(value: number, tag: number = tags.integer): Buffer {
  // One bit more than the value needs: the first one is the sign.
  const length = value < 0x80 ? 1 : value < 0x8000 ? 2 : value < 0x800000 ? 3 : 4;
  const bytes = startElement(tag, length);
  bytes.writeIntBE(value, 2, length);
  return bytes;
}

/** Room for an element, its header written. */
function startElement(tag: number, length: number): Buffer {
  const lengthBytes = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 4;
  const bytes = Buffer.allocUnsafe(2 + lengthBytes + length);
  bytes[0] = tag;
  bytes[1] = lengthBytes === 0 ? length : 0x80 | lengthBytes;
  if (lengthBytes > 0) bytes.writeUIntBE(length, 2, lengthBytes);
  return bytes;
}

/**
 * Length of the element at `at`, header included; `undefined`: the header, at most six bytes, is not whole before
 * `end`. Throws LdapFailure with kind `protocol`.
 */
export function lengthOfElement(bytes: Buffer, at: number, end: number): number | undefined {
  if (end - at < 2) return undefined;
  const first = bytes[at + 1] as number;
  if (first < 0x80) return 2 + first;
  const lengthBytes = first & 0x7f;
  // Without a length up front (0x80) an element ends where its content says so: not in LDAP.
  if (lengthBytes === 0 || lengthBytes > 4) throw malformed('a length is not one of LDAP');
  if (end - at < 2 + lengthBytes) return undefined;
  let length = 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 0x100 + (bytes[at + 2 + i] as number);
  return 2 + lengthBytes + length;
}

/** Every method throws LdapFailure with kind `protocol` when something else is there. Hot path: bench/ldap.ts. */
export class BerReader {
  readonly #bytes: Buffer;
  #at: number;
  /** Of the innermost element entered. */
  #end: number;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Tag of the next element; `undefined` at the end. */
  peek(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** Steps into an element. What is returned must be handed to `leave`. */
  enter(tag: number): number {
    const outerEnd = this.#end;
    this.#end = this.#open(tag);
    return outerEnd;
  }

  /** Steps out of an element that was read to its end. */
  leave(outerEnd: number): void {
    if (this.#at !== this.#end) throw malformed('an element holds more than it should');
    this.#end = outerEnd;
  }

  /** Passes over what a later version of the protocol may have put here (RFC 4511 section 4). */
  skipRest(): void {
    while (this.#at < this.#end) this.skip();
  }

  /** Passes over one element; any, unless `tag` says which. */
  skip(tag: number | undefined = this.peek()): void {
    // Numbers of tags beyond 30 take further bytes; LDAP has none.
    if (tag === undefined || (tag & 0x1f) === 0x1f) throw malformed('a tag is not one of LDAP');
    this.#at = this.#open(tag);
  }

  /** 0 to 2^31 - 1. */
  integer(tag: number = tags.integer): number {
    const end = this.#open(tag);
    const length = end - this.#at;
    if (length === 0 || length > 4 || (this.#bytes[this.#at] as number) >= 0x80) {
      throw malformed('a number is not one of LDAP');
    }
    let value = 0;
    while (this.#at < end) value = value * 0x100 + (this.#bytes[this.#at++] as number);
    return value;
  }

  /** Text in UTF-8. */
  text(tag: number = tags.octets): string {
    const start = this.#start(tag);
    return this.#decode(start, this.#at);
  }

  /** Text that is likely to have come before: a string there is already costs less than a new one. */
  knownText(known: KnownTexts): string {
    const start = this.#start(tags.octets);
    return known.find(this.#bytes, start, this.#at) ?? known.keep(this.#decode(start, this.#at));
  }

  /** Text meant for people: what is not UTF-8 shows as such. */
  diagnostic(tag: number = tags.octets): string {
    const start = this.#start(tag);
    return start === this.#at ? '' : this.#bytes.toString('utf8', start, this.#at);
  }

  /** Text, or a copy of the bytes where they are none. */
  textOrBytes(tag: number = tags.octets): string | Buffer {
    const start = this.#start(tag);
    return decode(this.#bytes, start, this.#at);
  }

  #decode(start: number, end: number): string {
    const value = decode(this.#bytes, start, end);
    if (typeof value !== 'string') throw malformed('a text is not in UTF-8');
    return value;
  }

  /** Reads past the element; returns where its content starts. */
  #start(tag: number): number {
    const end = this.#open(tag);
    const start = this.#at;
    this.#at = end;
    return start;
  }

  /** Reads the header; returns where the content ends. */
  #open(tag: number): number {
    const at = this.#at;
    if (this.peek() !== tag) throw malformed('another element was expected');
    const length = lengthOfElement(this.#bytes, at, this.#end);
    if (length === undefined || length > this.#end - at) {
      throw malformed('an element is longer than what holds it');
    }
    const first = this.#bytes[at + 1] as number;
    this.#at = at + (first < 0x80 ? 2 : 2 + (first & 0x7f));
    return at + length;
  }
}

function decode(bytes: Buffer, start: number, end: number): string | Buffer {
  for (let i = start; i < end; i++) {
    if ((bytes[i] as number) < 0x80) continue;
    const content = bytes.subarray(start, end);
    return isUtf8(content) ? content.toString() : Buffer.from(content);
  }
  return bytes.toString('latin1', start, end);
}

/** Short texts in ASCII, as many as have room: a newer one takes the place of an older one. */
export class KnownTexts {
  readonly #texts: string[] = Array.from({ length: 256 }, () => '');

  find(bytes: Buffer, start: number, end: number): string | undefined {
    let hash = 0;
    for (let i = start; i < end; i++) hash = (hash * 31 + (bytes[i] as number)) & 0xff;
    const text = this.#texts[hash] as string;
    if (text.length !== end - start) return undefined;
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return undefined;
    return text;
  }

  keep(text: string): string {
    if (text.length > 64) return text;
    let hash = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      // In UTF-8 it would be other bytes.
      if (code >= 0x80) return text;
      hash = (hash * 31 + code) & 0xff;
    }
    this.#texts[hash] = text;
    return text;
  }
}

export function malformed(message: string): LdapFailure {
  return new LdapFailure(`the server's answer is not LDAP: ${message}`, {
    kind: 'protocol',
    stage: 'operation',
  });
}

/**
 * The keytab file format, version 0x0502: who has a key there, of which version and kind. The keys themselves are
 * skipped and wiped. Follows the layout libkrb5 writes; anything else in the file is an error.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

export interface KeytabEntry {
  /** `HTTP/wiki.example.com@EXAMPLE.COM` */
  readonly principal: string;
  readonly service: string;
  readonly realm: string;
  /** kvno */
  readonly keyVersion: number;
  /** Number of the encryption type (RFC 3961 section 8): 18 and 17 are AES, 23 is RC4. */
  readonly encryptionType: number;
}

/** The file is no keytab, or one that this parser cannot follow to the end. */
export class KeytabFormatError extends Error {
  override readonly name = 'KeytabFormatError';
}

const maxFileBytes = 1_048_576;
const maxComponents = 16;

/** Throws KeytabFormatError, and the system's error when the file cannot be read. */
export function readKeytab(file: string): readonly KeytabEntry[] {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(maxFileBytes + 1);
  try {
    if (!fstatSync(descriptor).isFile()) throw new KeytabFormatError('is not a regular file');
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, bytes, length, bytes.length - length, length);
      length += count;
      if (count === 0 || length === bytes.length) break;
    }
    if (length > maxFileBytes) throw new KeytabFormatError(`is larger than ${maxFileBytes} bytes`);
    return parseKeytab(bytes.subarray(0, length));
  } finally {
    bytes.fill(0);
    closeSync(descriptor);
  }
}

/** Throws KeytabFormatError. */
export function parseKeytab(bytes: Buffer): readonly KeytabEntry[] {
  if (bytes.length < 2 || bytes[0] !== 5) throw new KeytabFormatError('is not a keytab');
  if (bytes[1] !== 2) {
    throw new KeytabFormatError(`is a keytab of version ${bytes[1]}; only version 2 is supported`);
  }
  const entries: KeytabEntry[] = [];
  let at = 2;
  while (at < bytes.length) {
    if (bytes.length - at < 4) throw new KeytabFormatError('ends within the length of an entry');
    const size = bytes.readInt32BE(at);
    at += 4;
    // libkrb5 takes it for the end of the file.
    if (size === 0) break;
    const end = at + Math.abs(size);
    if (end > bytes.length) throw new KeytabFormatError('ends within an entry');
    // Negative: the hole that a removed entry left.
    if (size > 0) entries.push(parseEntry(new Reader(bytes.subarray(at, end))));
    at = end;
  }
  return entries;
}

function parseEntry(reader: Reader): KeytabEntry {
  const count = reader.uint16();
  if (count < 1 || count > maxComponents) throw new KeytabFormatError('holds a principal without a name');
  const realm = reader.text();
  const components = Array.from({ length: count }, () => reader.text());
  reader.skip(4); // kind of name
  reader.skip(4); // when it was written
  const shortVersion = reader.uint8();
  const encryptionType = reader.uint16();
  reader.skip(reader.uint16()); // the key
  // Older writers end here; a long version of 0 is padding.
  const longVersion = reader.left >= 4 ? reader.uint32() : 0;
  const service = components.join('/');
  return {
    principal: `${service}@${realm}`,
    service,
    realm,
    keyVersion: longVersion === 0 ? shortVersion : longVersion,
    encryptionType,
  };
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  skip(length: number): void {
    this.#take(length);
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  text(): string {
    const length = this.uint16();
    const from = this.#take(length);
    return this.#bytes.toString('utf8', from, from + length);
  }

  #take(length: number): number {
    const from = this.#at;
    if (length > this.left) throw new KeytabFormatError('holds an entry that is cut short');
    this.#at += length;
    return from;
  }
}

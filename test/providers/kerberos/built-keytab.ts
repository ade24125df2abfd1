/** Keytab files written by hand: entries, holes and damage. */
import { parseKeytab } from '#src/providers/kerberos/keytab.ts';

export interface BuiltEntry {
  readonly principal: string;
  readonly keyVersion?: number;
  /** Only the short form of the version, as old writers left it. */
  readonly isShort?: boolean;
  readonly encryptionType?: number;
  readonly key?: Uint8Array;
}

export function keytabEntry(entry: BuiltEntry): Buffer {
  const {
    principal,
    keyVersion = 1,
    isShort = false,
    encryptionType = 18,
    key = Buffer.alloc(32, 1),
  } = entry;
  const at = principal.lastIndexOf('@');
  const components = principal.slice(0, at).split('/');
  const parts = [
    uint16(components.length),
    counted(Buffer.from(principal.slice(at + 1))),
    ...components.map((component) => counted(Buffer.from(component))),
    uint32(1),
    uint32(1_800_000_000),
    Buffer.from([keyVersion & 0xff]),
    uint16(encryptionType),
    counted(key),
    ...(isShort ? [] : [uint32(keyVersion)]),
  ];
  const body = Buffer.concat(parts);
  return Buffer.concat([uint32(body.length), body]);
}

/** What a removed entry of that length leaves. */
export function hole(length: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(-length);
  return Buffer.concat([size, Buffer.alloc(length)]);
}

export function keytabFile(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([5, 2]), ...parts]);
}

/** The same keytab without the entries of some kind of key. */
export function withoutEncryptionType(file: Buffer, encryptionType: number): Buffer {
  const kept: Buffer[] = [];
  for (let at = 2; at < file.length; ) {
    const end = at + 4 + file.readInt32BE(at);
    const entry = file.subarray(at, end);
    if (parseKeytab(keytabFile(entry))[0]?.encryptionType !== encryptionType) kept.push(entry);
    at = end;
  }
  return keytabFile(...kept);
}

function counted(bytes: Uint8Array): Buffer {
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

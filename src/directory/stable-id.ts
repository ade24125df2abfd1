/** What an entry is known by for good: which attribute it is in, how it is written, how it is searched for. */
import { normalizeDn } from '../identity/distinguished-name.ts';
import { type LdapEntry, readBytes, readValue } from './entry.ts';
import { anyOf, type EncodedFilter, equals } from './filter.ts';

interface Notation {
  readonly read: (entry: LdapEntry, attribute: string) => string | undefined;
  /** `undefined`: not an id of this notation. */
  readonly encode: (id: string) => string | Buffer | undefined;
}

const text: Notation = { read: readValue, encode: (id) => id };

/** By attribute in lower case; every other one is text. */
const notations: Readonly<Record<string, Notation>> = {
  objectguid: {
    read: (entry, attribute) => {
      const [bytes] = readBytes(entry, attribute);
      return bytes === undefined ? undefined : toGuid(bytes);
    },
    encode: parseGuid,
  },
};

function notationOf(attribute: string): Notation {
  return notations[attribute.toLowerCase()] ?? text;
}

/** The first of the attributes that the entry has; the normalised DN where it has none. */
export function readStableId(entry: LdapEntry, attributes: readonly string[]): string {
  for (const attribute of attributes) {
    const id = notationOf(attribute).read(entry, attribute);
    if (id !== undefined) return id;
  }
  return normalizeDn(entry.dn);
}

export function hasStableId(entry: LdapEntry, attributes: readonly string[]): boolean {
  return attributes.some((attribute) => notationOf(attribute).read(entry, attribute) !== undefined);
}

/** Finds the entry with the id again. `undefined`: the id is a DN, or was read under another configuration. */
export function stableIdFilter(id: string, attributes: readonly string[]): EncodedFilter | undefined {
  // A server without stable ids: a renamed person is another one.
  if (id.includes('=')) return undefined;
  const filters = attributes.flatMap((attribute) => {
    const value = notationOf(attribute).encode(id);
    return value === undefined ? [] : [equals(attribute, value)];
  });
  return filters.length > 1 ? anyOf(filters) : filters[0];
}

/** MS-DTYP section 2.3.4: the first three fields are little-endian. `undefined`: not 16 bytes. */
export function toGuid(bytes: Buffer): string | undefined {
  if (bytes.length !== 16) return undefined;
  const hex = swapped(bytes).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export function parseGuid(guid: string): Buffer | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(guid)) return undefined;
  return swapped(Buffer.from(guid.replaceAll('-', ''), 'hex'));
}

function swapped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.subarray(0, 4).reverse();
  copy.subarray(4, 6).reverse();
  copy.subarray(6, 8).reverse();
  return copy;
}

/**
 * Reading attributes of an entry. Servers spell attribute names as their schema does, or as the request did, so names
 * are compared without case (RFC 4512 section 2.5).
 */

export interface LdapEntry {
  readonly dn: string;
  readonly [attribute: string]: string | string[] | Buffer | Buffer[];
}

/** Every value as text; empty when the attribute is absent. Bytes that are no UTF-8 are no text and are left out. */
export function readValues(entry: LdapEntry, attribute: string): readonly string[] {
  const found = find(entry, attribute);
  if (typeof found === 'string') return found === '' ? [] : [found];
  if (!Array.isArray(found)) return [];
  return found.filter((value): value is string => typeof value === 'string' && value !== '');
}

export function readValue(entry: LdapEntry, attribute: string): string | undefined {
  const found = find(entry, attribute);
  if (typeof found === 'string') return found === '' ? undefined : found;
  return readValues(entry, attribute)[0];
}

/** Every value as bytes. Those that happened to be UTF-8 were decoded without loss. */
export function readBytes(entry: LdapEntry, attribute: string): readonly Buffer[] {
  const found = find(entry, attribute);
  if (found === undefined) return [];
  const values: readonly (string | Buffer)[] = Array.isArray(found) ? found : [found];
  return values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value));
}

function find(entry: LdapEntry, attribute: string): LdapEntry[string] | undefined {
  if (Object.hasOwn(entry, attribute)) return entry[attribute];
  const wanted = attribute.toLowerCase();
  for (const name in entry) {
    if (name.length === wanted.length && name.toLowerCase() === wanted) return entry[name];
  }
  return undefined;
}

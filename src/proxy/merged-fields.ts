/** Fields that came several times, as HTTP/2 carries them in Node: it refuses a second one of some. */

/** A list of these is not one field (RFC 9110 section 5.3), or few can read it as one. */
const never: ReadonlySet<string> = new Set(['set-cookie', 'www-authenticate', 'proxy-authenticate']);

/** One field of each name, at its first place; values joined by commas (RFC 9110 section 5.3), equal ones once. */
export function mergedFields(fields: readonly string[]): string[] {
  const merged: string[] = [];
  const places = new Map<string, number>();
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const lower = name.toLowerCase();
    const place = places.get(lower);
    if (place === undefined || never.has(lower)) {
      places.set(lower, merged.length + 1);
      merged.push(name, value);
    } else if (merged[place] !== value) {
      merged[place] = `${merged[place]}, ${value}`;
    }
  }
  return merged;
}

/**
 * One canonical target per request: the path that rules judge is the path that is sent.
 * Whatever two readers could understand differently is either judged in every reading or refused before any rule.
 */

export interface Target {
  /** Path as it came, without the query: what is sent on, byte for byte. */
  readonly path: string;
  /** Query with its `?`, or `''`. Never judged. */
  readonly query: string;
  /** Path with escapes of unreserved characters decoded and other escapes in upper case (RFC 3986 section 6.2.2). */
  readonly canonical: string;
  /**
   * Every way a server might read the path: as it is, with repeated slashes collapsed, with `;parameters` removed,
   * with encoded slashes decoded. The first is `canonical`. A rule set must allow all of them.
   */
  readonly readings: readonly string[];
  readonly hasEncodedSlash: boolean;
}

/** Longest accepted path and query together, in bytes. */
export const maxTargetBytes = 8_192;

/**
 * Hot path: `bench/forward-auth.ts`. Reads an origin-form target (`/path?query`, RFC 9112 section 3.2.1).
 * `undefined`: the target is not one that every reader understands alike (dot segments, backslash, control
 * characters, double or broken escapes, fragments, invalid UTF-8, any byte outside printable ASCII).
 */
export function parseTarget(raw: string): Target | undefined {
  if (raw.charCodeAt(0) !== slash) return undefined;
  let end = raw.length;
  let isPlain = true;
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    const kind = charKinds[code];
    if (kind === plain) continue;
    if (kind !== special) return undefined;
    if (i >= end) continue;
    if (code === 0x3f) end = i;
    else if (code === 0x25 || code === 0x3b) isPlain = false;
    // A slash or a dot right behind a slash: a repeated slash, perhaps a dot segment.
    else if (i > 0 && raw.charCodeAt(i - 1) === slash) isPlain = false;
  }
  const path = end === raw.length ? raw : raw.slice(0, end);
  const query = end === raw.length ? '' : raw.slice(end);
  if (isPlain) return { path, query, canonical: path, readings: [path], hasEncodedSlash: false };
  const canonical = canonicalPath(path);
  if (canonical === undefined || hasDotSegment(canonical)) return undefined;
  return {
    path,
    query,
    canonical,
    readings: readingsOf(canonical),
    hasEncodedSlash: canonical.includes('%2F'),
  };
}

const slash = 0x2f;
const plain = 0;
const special = 1;
const refused = 2;
/** By character code. Controls, blanks, `#`, backslash and whatever is beyond the table are in no target. */
const charKinds = Uint8Array.from({ length: 127 }, (_, code) => {
  if (code <= 0x20 || code === 0x23 || code === 0x5c) return refused;
  return '/.?%;'.includes(String.fromCharCode(code)) ? special : plain;
});

function canonicalPath(path: string): string | undefined {
  let out = '';
  for (let i = 0; i < path.length; i++) {
    const char = path[i] as string;
    if (char !== '%') {
      out += char;
      continue;
    }
    const hex = path.slice(i + 1, i + 3);
    if (!/^[0-9a-fA-F]{2}$/.test(hex)) return undefined;
    const byte = Number.parseInt(hex, 16);
    if (byte < 0x20 || byte === 0x7f || byte === 0x5c) return undefined;
    out += isUnreserved(byte) ? String.fromCharCode(byte) : `%${hex.toUpperCase()}`;
    i += 2;
  }
  // `%25` before two hex digits, however these were written: a second decoding would find another path.
  return /%25[0-9a-fA-F]{2}/.test(out) || !isUtf8(out) ? undefined : out;
}

/** RFC 3986 section 2.3. */
function isUnreserved(byte: number): boolean {
  return /[A-Za-z0-9\-._~]/.test(String.fromCharCode(byte));
}

/** Whether the escapes of bytes above 0x7F form valid UTF-8: no overlong forms, no surrogates (RFC 3629 section 3). */
function isUtf8(canonical: string): boolean {
  const escapes = canonical.match(/(?:%[89A-F][0-9A-F])+/g);
  if (escapes === null) return true;
  return escapes.every(decodes);
}

function decodes(run: string): boolean {
  const bytes = Buffer.from(run.replaceAll('%', ''), 'hex');
  return bytes.equals(Buffer.from(bytes.toString('utf8'), 'utf8'));
}

/** A segment that is `.` or `..`, also with parameters behind it, also beside an encoded slash. */
function hasDotSegment(canonical: string): boolean {
  return canonical.split(/\/|%2F/).some((segment) => /^\.\.?(;|%3B|$)/.test(segment));
}

function readingsOf(canonical: string): readonly string[] {
  const readings = new Set([canonical]);
  for (const reading of readings) {
    readings.add(reading.replace(/\/{2,}/g, '/'));
    readings.add(reading.replace(/(;|%3B)[^/]*/g, ''));
    if (reading.includes('%2F')) readings.add(reading.replaceAll('%2F', '/'));
  }
  return [...readings];
}

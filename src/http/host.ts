/** Hosts as the client writes them: `name`, `name:port`, `[v6]:port`, folded to one spelling for comparison. */

export interface Authority {
  /** Lower case, without port and without a trailing dot; IPv6 in brackets. */
  readonly host: string;
  /** Decimal text, or `''` when none was given. */
  readonly port: string;
}

/** RFC 9110 section 7.2: one host with an optional port. Anything else (user info, path, list, blank) is `undefined`. */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length === 0 || text.length > 261) return undefined;
  if (text.charCodeAt(0) === 0x5b) {
    const match = /^(\[[0-9a-fA-F:.]{2,45}\])(?::(\d{1,5}))?$/.exec(text);
    return match === null ? undefined : { host: (match[1] as string).toLowerCase(), port: match[2] ?? '' };
  }
  let end = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x3a) {
      end = i;
      break;
    }
    if (hostChars[code] !== 1) return undefined;
  }
  const port = end === text.length ? '' : text.slice(end + 1);
  if (end < text.length && !isPort(port)) return undefined;
  const hostEnd = text.charCodeAt(end - 1) === 0x2e ? end - 1 : end;
  if (hostEnd === 0) return undefined;
  return { host: text.slice(0, hostEnd).toLowerCase(), port };
}

/** By character code: 1 for letters, digits, `.`, `-` and `_`. A code beyond the table is none of them. */
const hostChars = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9._-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

function isPort(text: string): boolean {
  if (text.length === 0 || text.length > 5) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return false;
  }
  return Number(text) <= 65_535;
}

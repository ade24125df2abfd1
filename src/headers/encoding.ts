/** How identity values become header bytes. Control characters never pass, in any mode. */
import type { HeadersOptions } from './options.ts';

export type HeaderEncoding = HeadersOptions['encoding'];

/**
 * Encodes one value. The result is a byte string (one character per byte, as `writeHead` and undici send it).
 * Printable ASCII passes unchanged (except `%` in mode `percent`); control characters become one space.
 */
export function encodeValue(value: string, encoding: HeaderEncoding): string {
  const clean = withoutControls(value);
  switch (encoding) {
    case 'utf8':
      return isPrintableAscii(clean) ? clean : Buffer.from(clean, 'utf8').toString('latin1');
    case 'percent':
      return percentEncode(clean, /[^\x20-\x7e]|%/gu);
    case 'rfc8187':
      // RFC 8187 section 3.2.1: attr-char passes, everything else is escaped.
      return isPrintableAscii(clean) ? clean : `UTF-8''${percentEncode(clean, /[^A-Za-z0-9!#$&+.^_`|~-]/gu)}`;
    case 'base64':
      return isPrintableAscii(clean) ? clean : Buffer.from(clean, 'utf8').toString('base64');
  }
}

/** Joins list items; in mode `percent` a separator inside an item is encoded, so that the list splits back. */
export function encodeList(items: readonly string[], separator: string, encoding: HeaderEncoding): string {
  if (encoding !== 'percent') return items.map((item) => encodeValue(item, encoding)).join(separator);
  return items
    .map((item) => encodeValue(item, encoding).replaceAll(separator, percentEncodeAll(separator)))
    .join(separator);
}

/** Runs of control characters and of invisible direction marks (they disguise names) become one space. */
function withoutControls(value: string): string {
  return /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(value)
    ? value.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim()
    : value;
}

function isPrintableAscii(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value);
}

function percentEncode(value: string, unsafe: RegExp): string {
  return value.toWellFormed().replace(unsafe, percentEncodeAll);
}

function percentEncodeAll(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}

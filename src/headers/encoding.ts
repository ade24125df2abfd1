/** How identity values become header bytes. Control characters never pass, in any mode. */
import type { HeadersOptions } from './options.ts';

export type HeaderEncoding = HeadersOptions['encoding'];

/** Longest value that is sent: servers limit the whole head, and nobody's name is longer. */
const maxValueBytes = 1_024;

/**
 * Encodes one value. The result is a byte string (one character per byte, as `writeHead` and undici send it).
 * Printable ASCII passes unchanged (except `%` in mode `percent`); control characters become one space; what is longer
 * than 1024 bytes is cut between two characters.
 */
export function encodeValue(value: string, encoding: HeaderEncoding): string {
  // No encoding makes a character shorter than one byte, so nothing beyond this point could be sent.
  const clean = withoutControls(value.slice(0, maxValueBytes + 1));
  const encoded = encodeWhole(clean, encoding);
  return encoded.length <= maxValueBytes ? encoded : encodeLongestPrefix(Array.from(clean), encoding);
}

function encodeLongestPrefix(characters: readonly string[], encoding: HeaderEncoding): string {
  let fits = 0;
  for (let tooMany = characters.length; tooMany - fits > 1; ) {
    const middle = (fits + tooMany) >> 1;
    const length = encodeWhole(characters.slice(0, middle).join(''), encoding).length;
    if (length <= maxValueBytes) fits = middle;
    else tooMany = middle;
  }
  return encodeWhole(characters.slice(0, fits).join(''), encoding);
}

function encodeWhole(clean: string, encoding: HeaderEncoding): string {
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

/**
 * Joins list items; in mode `percent` a separator inside an item is encoded, so that the list splits back. Items decide
 * about access: one with control characters is left out, because a repaired one could be another group's name.
 */
export function encodeList(items: readonly string[], separator: string, encoding: HeaderEncoding): string {
  const sound = items.some(hasControls) ? items.filter((item) => !hasControls(item)) : items;
  if (encoding !== 'percent') return sound.map((item) => encodeValue(item, encoding)).join(separator);
  return sound
    .map((item) => encodeValue(item, encoding).replaceAll(separator, percentEncodeAll(separator)))
    .join(separator);
}

/** Control characters, line and paragraph separators, and marks that turn the direction of writing (they disguise names). */
const controls = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const runsOfControls = new RegExp(`${controls.source}+`, 'gu');

export function hasControls(value: string): boolean {
  return controls.test(value);
}

/** Each run becomes one space. */
function withoutControls(value: string): string {
  return hasControls(value) ? value.replace(runsOfControls, ' ').trim() : value;
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

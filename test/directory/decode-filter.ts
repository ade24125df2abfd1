/** Reads an encoded filter back (RFC 4511 section 4.5.1.7) as a tree of plain values; refuses what is not one. */
import assert from 'node:assert/strict';
import type { EncodedFilter } from '#src/directory/filter.ts';

export type DecodedFilter =
  | { readonly op: '&' | '|' | '!'; readonly filters: readonly DecodedFilter[] }
  | { readonly op: string; readonly attribute: string; readonly values: readonly string[] };

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

export function decodeFilter({ tag, content }: EncodedFilter): DecodedFilter {
  const sets = { 0xa0: '&', 0xa1: '|', 0xa2: '!' } as const;
  if (tag === 0xa0 || tag === 0xa1 || tag === 0xa2) {
    const filters = elements(content).map(decodeFilter);
    assert.ok(tag !== 0xa2 || filters.length === 1);
    return { op: sets[tag], filters };
  }
  if (tag === 0x87) return { op: 'present', attribute: content.toString(), values: [] };
  const parts = elements(content);
  if (tag === 0xa9) {
    const part = (wanted: number) => parts.find((each) => each.tag === wanted)?.content.toString() ?? '';
    const dn = parts.some((each) => each.tag === 0x84 && each.content[0] === 0xff) ? ':dn' : '';
    return { op: `${dn}:${part(0x81)}:=`, attribute: part(0x82), values: [part(0x83)] };
  }
  const [attribute, value] = parts;
  assert.ok(parts.length === 2 && attribute?.tag === 0x04 && value !== undefined);
  const name = attribute.content.toString();
  if (tag === 0xa4) {
    assert.equal(value.tag, 0x30);
    const letters: Record<number, string> = { 0x80: '^', 0x81: '*', 0x82: '$' };
    const pieces = elements(value.content).map((piece) => `${letters[piece.tag]}${piece.content.toString()}`);
    return { op: 'substrings', attribute: name, values: pieces };
  }
  const op = { 0xa3: '=', 0xa5: '>=', 0xa6: '<=', 0xa8: '~=' }[tag];
  assert.ok(op !== undefined && value.tag === 0x04);
  return { op, attribute: name, values: [value.content.toString()] };
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at + 1];
    assert.ok(first !== undefined);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    const start = at + 2 + lengthBytes;
    assert.ok(start + length <= bytes.length, 'an element is longer than what holds it');
    found.push({ tag: bytes[at] as number, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}

/** The tree as text, values unescaped: for tables of expectations. */
export function showFilter(filter: DecodedFilter): string {
  if ('filters' in filter) return `(${filter.op}${filter.filters.map(showFilter).join('')})`;
  return `(${filter.attribute} ${[filter.op, ...filter.values].join(' ')})`;
}

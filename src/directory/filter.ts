/**
 * Search filters: the configured text (RFC 4515) is parsed once at load, values go in as bytes of the encoded
 * filter (RFC 4511 section 4.5.1.7). No filter text is ever put together from a value, so there is nothing to escape.
 */
import { Buffer } from 'node:buffer';
import { GatewayError } from '../errors.ts';
import { tags as berTags, element, octets } from './ber.ts';

export type Placeholder = 'USERNAME' | 'ADDRESS' | 'DN';
export type FilterValues = Readonly<Partial<Record<Placeholder, string>>>;

/** One BER element: a filter ready to be sent. */
export interface EncodedFilter {
  readonly tag: number;
  readonly content: Buffer;
}

/** A configured filter with its placeholders. */
export interface FilterTemplate {
  encode(values: FilterValues): EncodedFilter;
  /** The same restrictions for whoever it is: what compared with a placeholder only asks that the attribute is there. */
  readonly forAnyName: FilterTemplate;
  /** For a name without a suffix, which compares with no %ADDRESS%. `undefined`: then nothing matches. */
  readonly withoutAddress: FilterTemplate | undefined;
  /** Without the parts that ask what somebody is not. */
  readonly withoutNegations: FilterTemplate;
  /** Attributes of those parts: where one cannot be read, such a part holds for nobody (RFC 4511 section 4.5.1.7). */
  readonly negatedAttributes: readonly string[];
  readonly usesDn: boolean;
}

const tags = {
  and: 0xa0,
  or: 0xa1,
  not: 0xa2,
  equality: 0xa3,
  substrings: 0xa4,
  greaterOrEqual: 0xa5,
  lessOrEqual: 0xa6,
  present: 0x87,
  approximate: 0xa8,
  extensible: 0xa9,
} as const;

type Value = readonly (Buffer | Placeholder)[];
type Node =
  | { readonly kind: 'set'; readonly tag: number; readonly children: readonly Node[] }
  | { readonly kind: 'comparison'; readonly tag: number; readonly attribute: string; readonly value: Value }
  | { readonly kind: 'present'; readonly attribute: string }
  | { readonly kind: 'substrings'; readonly attribute: string; readonly pieces: readonly Value[] }
  | {
      readonly kind: 'extensible';
      readonly attribute: string;
      readonly rule: string;
      readonly value: Value;
      readonly matchesDn: boolean;
    };

const maxDepth = 64;

/** Throws GatewayError CONFIG_INVALID with the position of what is not a filter. */
export function compileFilter(text: string): FilterTemplate {
  const parser = new FilterParser(text);
  return toTemplate(parser.parse());
}

export function equals(attribute: string, value: string | Buffer): EncodedFilter {
  return { tag: tags.equality, content: Buffer.concat([octets(attribute), octets(value)]) };
}

export function isPresent(attribute: string): EncodedFilter {
  return { tag: tags.present, content: Buffer.from(attribute) };
}

export function allOf(filters: readonly EncodedFilter[]): EncodedFilter {
  return { tag: tags.and, content: Buffer.concat(filters.map(toBytes)) };
}

export function anyOf(filters: readonly EncodedFilter[]): EncodedFilter {
  return { tag: tags.or, content: Buffer.concat(filters.map(toBytes)) };
}

/** True of every entry whose attribute may be compared; of others neither this nor its contrary is. */
export function isComparable(attribute: string): EncodedFilter {
  const present = isPresent(attribute);
  return anyOf([present, { tag: tags.not, content: toBytes(present) }]);
}

function toTemplate(node: Node): FilterTemplate {
  const encode = toEncoder(node);
  let forAnyName: FilterTemplate | undefined;
  /** Asked for at every sign-in, so found out once; `null`: there is none. */
  let withoutAddress: FilterTemplate | null | undefined;
  return {
    encode,
    usesDn: hasPlaceholder(node, 'DN'),
    get forAnyName() {
      forAnyName ??= toTemplate(withoutName(addressless(node) ?? node));
      return forAnyName;
    },
    get withoutAddress() {
      if (withoutAddress === undefined) {
        const rest = addressless(node);
        withoutAddress = rest === node ? this : rest === undefined ? null : toTemplate(rest);
      }
      return withoutAddress ?? undefined;
    },
    get withoutNegations() {
      return toTemplate(positivePart(node) ?? { kind: 'present', attribute: 'objectClass' });
    },
    get negatedAttributes() {
      return [...new Set(negatedParts(node).flatMap(attributesOf))];
    },
  };
}

type Encoder = (values: FilterValues) => EncodedFilter;

/** Parts without a placeholder are encoded here, once. */
function toEncoder(node: Node): Encoder {
  const build = toBuilder(node);
  if (hasPlaceholder(node)) return build;
  const constant = build({});
  return () => constant;
}

function toBytesEncoder(node: Node): (values: FilterValues) => Buffer {
  const encode = toEncoder(node);
  if (hasPlaceholder(node)) return (values) => toBytes(encode(values));
  const constant = toBytes(encode({}));
  return () => constant;
}

function toBuilder(node: Node): Encoder {
  switch (node.kind) {
    case 'set': {
      const children = node.children.map(toBytesEncoder);
      const { tag } = node;
      return (values) => ({ tag, content: Buffer.concat(children.map((child) => child(values))) });
    }
    case 'comparison': {
      const { tag, value } = node;
      const attribute = octets(node.attribute);
      return (values) => ({ tag, content: Buffer.concat([attribute, octets(resolve(value, values))]) });
    }
    case 'present': {
      const encoded = isPresent(node.attribute);
      return () => encoded;
    }
    case 'substrings': {
      const attribute = octets(node.attribute);
      const { pieces } = node;
      return (values) => ({
        tag: tags.substrings,
        content: Buffer.concat([attribute, element(berTags.sequence, ...encodePieces(pieces, values))]),
      });
    }
    case 'extensible': {
      const { attribute, rule, value, matchesDn } = node;
      return (values) => ({
        tag: tags.extensible,
        content: Buffer.concat([
          rule === '' ? Buffer.alloc(0) : octets(rule, 0x81),
          attribute === '' ? Buffer.alloc(0) : octets(attribute, 0x82),
          octets(resolve(value, values), 0x83),
          matchesDn ? octets(Buffer.from([0xff]), 0x84) : Buffer.alloc(0),
        ]),
      });
    }
    default:
      throw new TypeError(`unknown filter node ${JSON.stringify(node satisfies never)}`);
  }
}

/** First piece: initial [0], last: final [2], the others: any [1]; empty ends are left out. */
function encodePieces(pieces: readonly Value[], values: FilterValues): Buffer[] {
  const encoded: Buffer[] = [];
  pieces.forEach((piece, index) => {
    const bytes = resolve(piece, values);
    const tag = index === 0 ? 0x80 : index === pieces.length - 1 ? 0x82 : 0x81;
    if (bytes.length > 0) encoded.push(octets(bytes, tag));
  });
  return encoded;
}

function resolve(value: Value, values: FilterValues): Buffer {
  const parts = value.map((part) => {
    if (typeof part !== 'string') return part;
    const inserted = values[part];
    if (inserted === undefined) throw new TypeError(`the filter needs a value for %${part}%`);
    return Buffer.from(inserted);
  });
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

function toBytes(filter: EncodedFilter): Buffer {
  return element(filter.tag, filter.content);
}

function partsOf(node: Node): Value {
  switch (node.kind) {
    case 'set':
      return node.children.flatMap(partsOf);
    case 'substrings':
      return node.pieces.flat();
    case 'present':
      return [];
    case 'comparison':
    case 'extensible':
      return node.value;
    default:
      throw new TypeError(`unknown filter node ${JSON.stringify(node satisfies never)}`);
  }
}

function hasPlaceholder(node: Node, placeholder?: Placeholder): boolean {
  return partsOf(node).some((part) => typeof part === 'string' && (placeholder ?? part) === part);
}

function withoutName(node: Node): Node {
  if (node.kind === 'set') return { ...node, children: node.children.map(withoutName) };
  if (node.kind === 'present') return node;
  if (!hasPlaceholder(node)) return node;
  return { kind: 'present', attribute: node.attribute === '' ? 'objectClass' : node.attribute };
}

/** Comparisons with an address are false where there is none. `undefined`: so is the whole. */
function addressless(node: Node): Node | undefined {
  if (!hasPlaceholder(node, 'ADDRESS')) return node;
  if (node.kind !== 'set') return undefined;
  const children = node.children.map(addressless).filter((child) => child !== undefined);
  if (node.tag === tags.not) {
    return children.length === 0 ? { kind: 'present', attribute: 'objectClass' } : { ...node, children };
  }
  if (node.tag === tags.and && children.length < node.children.length) return undefined;
  return children.length > 1 ? { ...node, children } : children[0];
}

/** `undefined`: nothing is left. */
function positivePart(node: Node): Node | undefined {
  if (node.kind !== 'set') return node;
  if (node.tag === tags.not) return undefined;
  const children = node.children.map(positivePart).filter((child) => child !== undefined);
  return children.length === 0 ? undefined : { ...node, children };
}

function negatedParts(node: Node): readonly Node[] {
  if (node.kind !== 'set') return [];
  return node.tag === tags.not ? node.children : node.children.flatMap(negatedParts);
}

function attributesOf(node: Node): readonly string[] {
  if (node.kind === 'set') return node.children.flatMap(attributesOf);
  return node.attribute === '' ? [] : [node.attribute];
}

/** `attr`, `attr;option` or a numeric OID (RFC 4512 section 2.5), then what follows it. */
const itemPattern =
  /^([A-Za-z][A-Za-z0-9-]*(?:;[A-Za-z0-9-]+)*|\d+(?:\.\d+)+)?(:dn)?(?::([A-Za-z0-9.-]+))?(:=|>=|<=|~=|=)/i;

class FilterParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    const node = this.#filter(0);
    if (this.#at !== this.#text.length) this.#fail('unexpected text behind the filter');
    return node;
  }

  #filter(depth: number): Node {
    if (depth > maxDepth) this.#fail(`more than ${maxDepth} levels`);
    this.#expect('(');
    const first = this.#text[this.#at];
    let node: Node;
    if (first === '&' || first === '|') {
      this.#at++;
      const children: Node[] = [];
      while (this.#text[this.#at] === '(') children.push(this.#filter(depth + 1));
      if (children.length === 0) this.#fail('expected a filter in parentheses');
      node = { kind: 'set', tag: first === '&' ? tags.and : tags.or, children };
    } else if (first === '!') {
      this.#at++;
      node = { kind: 'set', tag: tags.not, children: [this.#filter(depth + 1)] };
    } else {
      node = this.#item();
    }
    this.#expect(')');
    return node;
  }

  #item(): Node {
    const match = itemPattern.exec(this.#text.slice(this.#at));
    if (match === null) return this.#fail('expected attribute=value');
    const [whole, attribute = '', dn, rule = '', operator = ''] = match;
    const isExtensible = operator === ':=';
    if (!isExtensible && (dn !== undefined || rule !== '' || attribute === '')) this.#fail('expected ":="');
    if (isExtensible && attribute === '' && rule === '')
      this.#fail('expected an attribute or a matching rule');
    this.#at += whole.length;
    const pieces = this.#pieces();
    if (operator === '=' && pieces.length > 1) {
      const isEmpty = pieces.every((piece) => piece.length === 0);
      if (isEmpty && pieces.length === 2) return { kind: 'present', attribute };
      if (pieces.slice(1, -1).some((piece) => piece.length === 0)) this.#fail('"**" has no meaning');
      return { kind: 'substrings', attribute, pieces };
    }
    if (pieces.length > 1) this.#fail('"*" is allowed only behind "="');
    const value = pieces[0] ?? [];
    if (isExtensible) return { kind: 'extensible', attribute, rule, value, matchesDn: dn !== undefined };
    const tag =
      operator === '>='
        ? tags.greaterOrEqual
        : operator === '<='
          ? tags.lessOrEqual
          : operator === '~='
            ? tags.approximate
            : tags.equality;
    return { kind: 'comparison', tag, attribute, value };
  }

  /** The value up to the closing parenthesis, split at "*". */
  #pieces(): Value[] {
    const pieces: (Buffer | Placeholder)[][] = [[]];
    let literal: Buffer[] = [];
    const flush = (): void => {
      if (literal.length > 0) pieces.at(-1)?.push(Buffer.concat(literal));
      literal = [];
    };
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) this.#fail('expected ")"');
      if (char === ')') break;
      if (char === '(') this.#fail('"(" must be written \\28');
      if (char === '*') {
        flush();
        pieces.push([]);
        this.#at++;
      } else if (char === '\\') {
        const hex = this.#text.slice(this.#at + 1, this.#at + 3);
        if (!/^[0-9a-fA-F]{2}$/.test(hex)) this.#fail('expected two hexadecimal digits behind "\\"');
        literal.push(Buffer.from(hex, 'hex'));
        this.#at += 3;
      } else if (char === '%') {
        const name = /^%(USERNAME|ADDRESS|DN)%/.exec(this.#text.slice(this.#at))?.[1] as
          | Placeholder
          | undefined;
        if (name === undefined)
          return this.#fail('expected %USERNAME%, %ADDRESS% or %DN%; "%" itself is written \\25');
        flush();
        pieces.at(-1)?.push(name);
        this.#at += name.length + 2;
      } else {
        const plain = /^[^\\*()%\0]+/u.exec(this.#text.slice(this.#at))?.[0];
        if (plain === undefined) return this.#fail('NUL must be written \\00');
        literal.push(Buffer.from(plain));
        this.#at += plain.length;
      }
    }
    flush();
    return pieces;
  }

  #expect(char: string): void {
    if (this.#text[this.#at] !== char) this.#fail(`expected "${char}"`);
    this.#at++;
  }

  #fail(message: string): never {
    throw new GatewayError('CONFIG_INVALID', `filter, character ${this.#at + 1}: ${message}`, {
      fields: { filter: this.#text },
    });
  }
}

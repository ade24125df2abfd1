/**
 * Reads a small XML document from a server that need not be friendly: bounded in size, depth and number of elements,
 * without document types, so without entities of its own, and without opening anything. Namespaces are cut off.
 */

export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Its own text, without that of its children. */
  readonly text: string;
}

const maxLength = 65_536;
const maxDepth = 32;
const maxElements = 2_000;

interface OpenElement {
  readonly qualifiedName: string;
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: OpenElement[];
  text: string;
}

const nameSource = '[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?';
const startTag = new RegExp(
  `<(${nameSource})((?:\\s+${nameSource}\\s*=\\s*(?:"[^"<]*"|'[^'<]*'))*)\\s*(/?)>`,
  'y',
);
const endTag = new RegExp(`</(${nameSource})\\s*>`, 'y');
const attribute = new RegExp(`(${nameSource})\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'g');
const declaration = /<\?xml\s[^<>?]*\?>/y;
const entity = /&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));|&/g;
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** What XML 1.0 section 2.2 leaves out. */
const impossible = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;

/** `undefined`: no well-formed document, one with a document type or instructions, or over the bounds. */
export function parseXml(source: string): XmlElement | undefined {
  if (source.length > maxLength || impossible.test(source)) return undefined;
  try {
    return new Reader(source).read();
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** The element at a path of names below `root`, the first of each; `undefined`: there is none. */
export function elementAt(root: XmlElement, ...path: readonly string[]): XmlElement | undefined {
  let found: XmlElement | undefined = root;
  for (const name of path) found = found?.children.find((child) => child.name === name);
  return found;
}

class Malformed extends Error {}

class Reader {
  readonly #source: string;
  #at = 0;
  #elements = 0;

  constructor(source: string) {
    this.#source = source.startsWith('\uFEFF') ? source.slice(1) : source;
  }

  read(): XmlElement {
    this.#match(declaration);
    this.#skipBlank();
    const open: OpenElement[] = [];
    let root: OpenElement | undefined;
    while (root === undefined || open.length > 0) {
      const parent = open.at(-1);
      if (this.#source.startsWith('</', this.#at)) {
        const [, name] = this.#match(endTag) ?? fail();
        if (open.pop()?.qualifiedName !== name) fail();
      } else if (this.#source.startsWith('<!--', this.#at)) {
        this.#between('<!--', '-->');
      } else if (parent !== undefined && this.#source.startsWith('<![CDATA[', this.#at)) {
        parent.text += this.#between('<![CDATA[', ']]>');
      } else if (this.#source[this.#at] === '<') {
        const { element, isEmpty } = this.#start(open.length);
        if (parent === undefined) root = element;
        else parent.children.push(element);
        if (!isEmpty) open.push(element);
      } else {
        const next = this.#source.indexOf('<', this.#at);
        // Also the end of the text: something is still open.
        if (next < 0) fail();
        const text = this.#source.slice(this.#at, next);
        if (parent !== undefined) parent.text += decode(text);
        else if (text.trim() !== '') fail();
        this.#at = next;
      }
    }
    this.#skipBlank();
    while (this.#source.startsWith('<!--', this.#at)) {
      this.#between('<!--', '-->');
      this.#skipBlank();
    }
    if (this.#at !== this.#source.length) fail();
    return root;
  }

  /** Document types and instructions match no start tag: they end the reading before any entity is looked at. */
  #start(depth: number): { element: OpenElement; isEmpty: boolean } {
    const [, qualifiedName = '', written = '', slash] = this.#match(startTag) ?? fail();
    if (++this.#elements > maxElements || depth >= maxDepth) fail();
    const attributes = new Map<string, string>();
    for (const [, name = '', double, single] of written.matchAll(attribute)) {
      if (attributes.has(name)) fail();
      attributes.set(name, decode(double ?? single ?? ''));
    }
    const name = qualifiedName.slice(qualifiedName.indexOf(':') + 1);
    return { element: { qualifiedName, name, attributes, children: [], text: '' }, isEmpty: slash === '/' };
  }

  #between(start: string, end: string): string {
    const from = this.#at + start.length;
    const to = this.#source.indexOf(end, from);
    if (to < 0) fail();
    this.#at = to + end.length;
    return this.#source.slice(from, to);
  }

  #skipBlank(): void {
    while (/\s/.test(this.#source[this.#at] ?? '')) this.#at++;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }
}

function decode(text: string): string {
  return text.replace(entity, (whole, decimal?: string, hex?: string, name?: string) => {
    if (whole === '&') fail();
    if (name !== undefined) return named[name] as string;
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
    const isCharacter =
      code <= 0x10_ffff && (code < 0xd800 || code > 0xdfff) && (code >= 0x20 || [9, 10, 13].includes(code));
    return isCharacter ? String.fromCodePoint(code) : fail();
  });
}

function fail(): never {
  throw new Malformed();
}

/** The `Forwarded` field (RFC 7239 section 4) taken apart. What its values are worth is forwarded.ts's concern. */

/** One hop: parameters by lower-case name, quotes and escapes removed. */
export type ForwardedElement = ReadonlyMap<string, string>;

/** RFC 9110 section 5.6.2. */
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
/** RFC 9110 section 5.6.4, without bytes above ASCII. */
const quoted = /"((?:[\t !#-[\]-~]|\\[\t -~])*)"/y;
const blanks = /[ \t]*/y;

/** Hops from the client to the nearest; `undefined`: not what the RFC describes, so nobody can say which hop is which. */
export function parseForwarded(field: string): readonly ForwardedElement[] | undefined {
  const reader = new Reader(field);
  const elements: ForwardedElement[] = [];
  do {
    const element = readElement(reader);
    if (element === undefined) return undefined;
    // A list may have empty members (RFC 9110 section 5.6.1.2); they are no hops.
    if (element.size > 0) elements.push(element);
  } while (reader.takes(','));
  return reader.isAtEnd ? elements : undefined;
}

function readElement(reader: Reader): ForwardedElement | undefined {
  const element = new Map<string, string>();
  do {
    reader.read(blanks);
    const name = reader.read(token)?.[0]?.toLowerCase();
    if (name !== undefined) {
      if (!reader.takes('=')) return undefined;
      const value = reader.read(token)?.[0] ?? unescape(reader.read(quoted)?.[1]);
      // Each parameter at most once per hop (section 4).
      if (value === undefined || element.has(name)) return undefined;
      element.set(name, value);
    }
    reader.read(blanks);
  } while (reader.takes(';'));
  return element;
}

function unescape(text: string | undefined): string | undefined {
  return text?.replace(/\\(.)/g, '$1');
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  takes(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  /** `pattern` is sticky. */
  read(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }
}

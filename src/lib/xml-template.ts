/** XML that escapes by default: text never becomes markup, and what XML 1.0 cannot hold becomes a space. Only writes. */

class XmlText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** Finished markup. Only `xml` makes it. */
export type Xml = XmlText;

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  // A parser turns bare ones into spaces inside attributes (XML 1.0 section 3.3.3).
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

/** XML 1.0 section 2.2: everything else, lone halves of pairs included, may not occur, not even escaped. */
const impossible = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;

/** Values stand in text or in quoted attributes; finished markup and `undefined` (nothing) in text only. */
export function xml(
  strings: TemplateStringsArray,
  ...values: readonly (Xml | string | number | undefined)[]
): Xml {
  let out = strings[0] as string;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value !== undefined) out += value instanceof XmlText ? value.toString() : escapeXml(String(value));
    out += strings[i + 1] as string;
  }
  return new XmlText(out);
}

function escapeXml(text: string): string {
  return text.replace(impossible, ' ').replace(/[&<>"'\t\n\r]/g, (char) => escapes[char] as string);
}

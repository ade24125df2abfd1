/** Distinguished names compared as text (RFC 4514): enough to match a configured DN with one a directory returned. */

/**
 * Lower-case, without the optional blanks around separators, hex escapes decoded to one spelling.
 * `CN=Admins , OU=Groups` and `cn=admins,ou=groups` become equal; escaped separators stay escaped.
 */
export function normalizeDn(dn: string): string {
  let out = '';
  let pendingBlanks = '';
  let atStart = true;
  for (let i = 0; i < dn.length; i++) {
    const char = dn[i] as string;
    if (char === '\\' && i + 1 < dn.length) {
      const hex = dn.slice(i + 1, i + 3);
      const isHex = /^[0-9a-fA-F]{2}$/.test(hex);
      const code = isHex ? Number.parseInt(hex, 16) : dn.charCodeAt(i + 1);
      // Bytes above 0x7F are parts of UTF-8 sequences: kept as written, in lower case.
      out += `${pendingBlanks}${isHex && code >= 0x80 ? `\\${hex}` : escapeChar(String.fromCharCode(code))}`;
      pendingBlanks = '';
      atStart = false;
      i += isHex ? 2 : 1;
    } else if (char === ',' || char === '=' || char === '+' || char === ';') {
      out += char === ';' ? ',' : char;
      pendingBlanks = '';
      atStart = true;
    } else if (char === ' ') {
      if (!atStart) pendingBlanks += ' ';
    } else {
      out += pendingBlanks + char;
      pendingBlanks = '';
      atStart = false;
    }
  }
  return out.normalize('NFC').toLowerCase();
}

function escapeChar(char: string): string {
  return /[,+"\\<>;= #]/.test(char) ? `\\${char}` : char;
}

/** Whether `text` is written like a DN (`attribute=value,…`) rather than a plain name. */
export function looksLikeDn(text: string): boolean {
  return /^[a-zA-Z][a-zA-Z0-9-]*\s*=/.test(text);
}

/** A DN from a template, the name escaped as a value of an attribute (RFC 4514 section 2.4). */
export function fillDn(template: string, username: string): string {
  const escaped = username
    .replaceAll(/[,+"\\<>;=]/g, '\\$&')
    .replaceAll('\0', '\\00')
    .replace(/^[# ]/, '\\$&')
    .replace(/ $/, '\\ ');
  return template.replaceAll('%USERNAME%', () => escaped);
}

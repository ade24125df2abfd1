/** Reading one cookie out of a `Cookie` header without splitting it, and removing some. Names compare exactly. */

/**
 * The value of the only cookie called `name`; `undefined` when it is absent or came twice (a neighbouring host may
 * have planted one). Values are taken as they stand: quotes and escapes mean nothing (RFC 6265 section 5.4).
 */
export function cookieValue(header: string, name: string): string | undefined {
  const at = findCookie(header, name, 0);
  if (at === -1 || findCookie(header, name, at + name.length) !== -1) return undefined;
  const start = header.indexOf('=', at + name.length) + 1;
  let end = header.indexOf(';', start);
  if (end === -1) end = header.length;
  while (end > start && isBlank(header.charCodeAt(end - 1))) end--;
  return header.slice(start, end);
}

/** A `Cookie` header without the cookies of these names, the rest as it was; '' when nothing is left. */
export function withoutCookies(header: string, names: readonly string[]): string {
  if (!names.some((name) => findCookie(header, name, 0) !== -1)) return header;
  const kept: string[] = [];
  for (let start = 0; start <= header.length; ) {
    let end = header.indexOf(';', start);
    if (end === -1) end = header.length;
    const pair = trimBlanks(header.slice(start, end));
    const equals = pair.indexOf('=');
    const isNamed = equals !== -1 && names.includes(trimBlanks(pair.slice(0, equals)));
    if (pair !== '' && !isNamed) kept.push(pair);
    start = end + 1;
  }
  return kept.join('; ');
}

/**
 * Position of the next cookie called `name`: at the start or after ';', blanks around it allowed, '=' after it.
 * Only space and tab are blanks: a server that trims Unicode spaces reads a protected name where browsers saw another.
 */
export function findCookie(header: string, name: string, from: number): number {
  for (let at = header.indexOf(name, from); at !== -1; at = header.indexOf(name, at + 1)) {
    let before = at - 1;
    while (before >= 0 && isBlank(header.charCodeAt(before))) before--;
    if (before >= 0 && header.charCodeAt(before) !== semicolon) continue;
    let after = at + name.length;
    while (after < header.length && isBlank(header.charCodeAt(after))) after++;
    if (header.charCodeAt(after) === equalsSign) return at;
  }
  return -1;
}

const semicolon = 0x3b;
const equalsSign = 0x3d;

export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

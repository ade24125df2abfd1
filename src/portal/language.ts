/** Which language a page is shown in. Knows query, cookie and Accept-Language as text, and nothing of requests. */

/** In the order of the visible switch; the first one is shown when nothing else is asked for. */
export const languages = ['en', 'ru', 'hr'] as const;
export type Language = (typeof languages)[number];

export const languageCookieName = 'vratar-lang';
export const languageParameter = 'lang';

export interface LanguageWishes {
  /** Value of the query parameter `lang`. */
  readonly parameter?: string | undefined;
  /** Value of the cookie `vratar-lang`. */
  readonly cookie?: string | undefined;
  /** The Accept-Language field, several joined by a comma. */
  readonly acceptLanguage?: string | undefined;
}

/** The address wins over the cookie, the cookie over the browser; unknown languages are passed over. */
export function chooseLanguage(wishes: LanguageWishes): Language {
  return (
    parseLanguage(wishes.parameter) ??
    parseLanguage(wishes.cookie) ??
    bestAccepted(wishes.acceptLanguage) ??
    languages[0]
  );
}

/** Exact lower-case code, as our own links and cookies write it; anything else is `undefined`. */
export function parseLanguage(code: string | undefined): Language | undefined {
  return languages.find((language) => language === code);
}

export interface LanguageCookieScope {
  /** `undefined`: this host only. */
  readonly domain?: string | undefined;
  readonly isSecure: boolean;
}

const oneYearSeconds = 31_536_000;

/** Value of a Set-Cookie field. The whole host, because error pages stand at any address. */
export function languageCookie(language: Language, scope: LanguageCookieScope): string {
  const domain = scope.domain === undefined ? '' : `; Domain=${scope.domain}`;
  const secure = scope.isSecure ? '; Secure' : '';
  return `${languageCookieName}=${language}; Path=/; Max-Age=${oneYearSeconds}; HttpOnly; SameSite=Lax${domain}${secure}`;
}

// Browsers send a handful of ranges; the bounds keep a hostile field from costing more than one.
const maxFieldLength = 1_024;
const maxRanges = 32;

/** The supported language with the highest quality (RFC 9110 section 12.5.4); `en-GB` asks for `en`. */
export function bestAccepted(field: string | undefined): Language | undefined {
  if (field === undefined || field.length > maxFieldLength) return undefined;
  const qualities = new Map<Language, number>();
  let anyQuality = 0;
  for (const item of field.split(',', maxRanges)) {
    const [range = '', ...parameters] = item.split(';');
    const quality = qualityOf(parameters);
    const primary = (range.trim().split('-', 1)[0] ?? '').toLowerCase();
    const language = parseLanguage(primary);
    if (language !== undefined) qualities.set(language, Math.max(quality, qualities.get(language) ?? 0));
    else if (primary === '*') anyQuality = Math.max(anyQuality, quality);
  }
  let best: Language | undefined;
  let bestQuality = 0;
  for (const [language, quality] of qualities) {
    if (quality > bestQuality) [best, bestQuality] = [language, quality];
  }
  // `*` covers the languages that were not named, so a better "anything else" falls to the first of those.
  if (anyQuality > bestQuality) return languages.find((language) => !qualities.has(language)) ?? best;
  return best;
}

/** `q=0.8`; malformed weights count as 0, that is "not acceptable", rather than as a wish. */
function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const text = parameter.trim();
    if (!/^q=/i.test(text)) continue;
    return /^q=(0(\.\d{0,3})?|1(\.0{0,3})?)$/i.test(text) ? Number(text.slice(2)) : 0;
  }
  return 1;
}

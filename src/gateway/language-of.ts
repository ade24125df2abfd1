/** The language of a request: its `lang` parameter, the language cookie, then what the browser accepts. */
import type { Exchange } from '../http/exchange.ts';
import { cookieValue } from '../lib/cookie-header.ts';
import { chooseLanguage, type Language, languageCookieName } from '../portal/language.ts';

/** `parameter`: value of `?lang=`, only on addresses of the portal, where it is ours. */
export function languageOf({ head }: Pick<Exchange, 'head'>, parameter?: string): Language {
  return chooseLanguage({
    parameter,
    cookie: cookieValue(head.cookie, languageCookieName),
    acceptLanguage: head.acceptLanguage,
  });
}

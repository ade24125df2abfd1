/** The visible language switch: plain links that reopen the same page with another `lang`. */
import { type Html, html, raw } from '../lib/html.ts';
import { type Language, languageParameter, languages } from './language.ts';
import { messages } from './messages/by-language.ts';

/**
 * `location` is the path and query that shows this page again (`/_vratar/login?rd=…`); `undefined` where no GET
 * would, and then there is no switch.
 */
export function languageSwitch(location: string | undefined, current: Language): Html | undefined {
  if (location === undefined) return undefined;
  const links = languages.map((language) => languageLink(location, language, language === current));
  return html`<nav class="languages" aria-label="${messages[current].languageSwitch}"><ul>${links}</ul></nav>`;
}

function languageLink(location: string, language: Language, isCurrent: boolean): Html {
  return html`<li><a href="${withLanguage(location, language)}" lang="${language}" hreflang="${language}"${
    isCurrent && raw` aria-current="true"`
  }>${messages[language].languageName}</a></li>`;
}

/** Replaces `lang` and keeps every other parameter, encoded anew so that no byte of it can leave the query. */
export function withLanguage(location: string, language: Language): string {
  const at = location.indexOf('?');
  const path = at === -1 ? location : location.slice(0, at);
  const parameters = new URLSearchParams(at === -1 ? '' : location.slice(at + 1));
  parameters.set(languageParameter, language);
  return `${path}?${parameters.toString()}`;
}

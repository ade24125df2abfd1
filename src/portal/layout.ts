/** The frame every page stands in: head, brand, main part, language switch. Knows no page in particular. */
import { type Html, html } from '../lib/html.ts';
import type { Assets } from './assets.ts';
import type { Language } from './language.ts';
import { languageSwitch } from './language-switch.ts';

/** What the pages need to know of the installation; made once. */
export interface Site {
  readonly portalPath: string;
  readonly assets: Assets;
}

export interface Frame {
  readonly title: string;
  /** `gate`: one card in the middle; `hall`: a wide page with a bar on top. */
  readonly shape: 'gate' | 'hall';
  /** Right-hand side of the bar. */
  readonly bar?: Html | undefined;
  readonly main: Html;
  /** See `languageSwitch`. */
  readonly location: string | undefined;
}

export const productName = 'Vratar';

/** The finished document. */
export function renderFrame(site: Site, language: Language, frame: Frame): string {
  const { assets, portalPath } = site;
  const page = html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<title>${frame.title} · ${productName}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="stylesheet" href="${assets.url('portal.css')}">
<link rel="icon" type="image/svg+xml" href="${assets.url('mark.svg')}">
</head>
<body class="${frame.shape}">
<header class="bar">
<a class="brand" href="${portalPath}/"><img src="${assets.url('mark.svg')}" alt="" width="32" height="32"><span>${productName}</span></a>
${frame.bar}
</header>
<main>
${frame.main}
</main>
<footer>
${languageSwitch(frame.location, language)}
</footer>
</body>
</html>
`;
  return page.toString();
}

/** The first letter of a title or name, for the round and square marks. */
export function initialOf(text: string): string {
  const [first = ''] = text.trim();
  return first.toLocaleUpperCase();
}

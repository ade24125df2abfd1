/** Leaving: the question before it, and the page that says it is not recorded everywhere yet. */
import { html } from '../lib/html.ts';
import type { Language } from './language.ts';
import { renderFrame, type Site } from './layout.ts';
import { messages } from './messages/by-language.ts';
import { signOutForm } from './portal-page.ts';

export interface SignOutModel {
  /** Display name, or the account name. */
  readonly name: string;
  readonly csrf: string;
}

export function renderSignOut(site: Site, language: Language, model: SignOutModel): string {
  const text = messages[language];
  const main = html`<section class="card">
<h1>${text.signOut.title}</h1>
<p>${text.error.signedInAs} <strong><bdi>${model.name}</bdi></strong>. ${text.signOut.question}</p>
<div class="actions">
${signOutForm(site, model.csrf, text.signOut.submit, true)}
<a class="button" href="${site.portalPath}/">${text.signOut.stay}</a>
</div>
</section>`;
  return renderFrame(site, language, {
    title: text.signOut.title,
    shape: 'gate',
    main,
    location: `${site.portalPath}/logout`,
  });
}

/** Needs no model: whoever is shown it has no session any more. */
export function renderSignedOutPending(site: Site, language: Language): string {
  const text = messages[language].signOut;
  const main = html`<section class="card">
<h1>${text.pendingTitle}</h1>
<p class="notice notice-unavailable" role="status">${text.pendingText}</p>
<p>${text.pendingAdvice}</p>
<div class="actions"><a class="button button-primary" href="${site.portalPath}/login">${text.signInAgain}</a></div>
</section>`;
  return renderFrame(site, language, {
    title: text.pendingTitle,
    shape: 'gate',
    main,
    location: undefined,
  });
}

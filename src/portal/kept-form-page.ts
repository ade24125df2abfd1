/** The form of a person whose session ended while they filled it in: the question whether to send it now, or that it is gone. */
import { html } from '../lib/html.ts';
import type { Language } from './language.ts';
import { renderFrame, type Site } from './layout.ts';
import { messages } from './messages/by-language.ts';

export interface KeptFormModel {
  /** Title of the application. */
  readonly application: string;
  /** Where the form goes, without its query: what a person may recognise. */
  readonly place: string;
  /** Address the form goes to. */
  readonly action: string;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  /** Display name, or the account name: another person may have signed in at the same browser. */
  readonly name: string;
}

export interface GoneFormModel {
  /** Where the form would have gone, or the portal. */
  readonly backTo: string;
}

export function renderKeptForm(site: Site, language: Language, model: KeptFormModel): string {
  const text = messages[language].keptForm;
  const fields = model.fields.map(
    ({ name, value }) => html`<input type="hidden" name="${name}" value="${value}">`,
  );
  const main = html`<section class="card">
<h1>${text.title}</h1>
<p>${text.waiting(model.application)}</p>
<p><code>${model.place}</code></p>
<p>${messages[language].error.signedInAs} <strong><bdi>${model.name}</bdi></strong>.</p>
<p class="notice" id="once">${text.once}</p>
<form method="post" action="${model.action}">
${fields}<div class="actions">
<button class="button button-primary" type="submit" aria-describedby="once">${text.submit}</button>
<a class="button" href="${model.action}">${text.discard}</a>
</div>
</form>
</section>`;
  // No language switch: the page is shown once.
  return renderFrame(site, language, { title: text.title, shape: 'gate', main, location: undefined });
}

export function renderGoneForm(site: Site, language: Language, { backTo }: GoneFormModel): string {
  const text = messages[language].keptForm;
  const main = html`<section class="card">
<h1>${text.goneTitle}</h1>
<p>${text.goneText}</p>
<div class="actions"><a class="button button-primary" href="${backTo}">${text.back}</a></div>
</section>`;
  return renderFrame(site, language, { title: text.goneTitle, shape: 'gate', main, location: undefined });
}

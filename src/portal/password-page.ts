/** For people whose password is right but no longer good: the form for a new one, or where to get it. */
import type { PasswordChangeWay, PasswordRefusal } from '../identity/outcome.ts';
import { type Html, html, raw } from '../lib/html.ts';
import type { Language } from './language.ts';
import { renderFrame, type Site } from './layout.ts';
import { messages } from './messages/by-language.ts';
import type { Messages } from './messages/dictionary.ts';

export type PasswordProblem =
  /** As on the sign-in page: nothing tells an unknown account from a wrong password. */
  | { readonly kind: 'rejected' }
  | { readonly kind: 'refused'; readonly reason: PasswordRefusal }
  | { readonly kind: 'throttled'; readonly retryAfterSeconds: number }
  | { readonly kind: 'unavailable'; readonly retryAfterSeconds: number };

export interface PasswordModel {
  /** `undefined`: nothing is left to do here. */
  readonly way: PasswordChangeWay | undefined;
  /** Why, for who has just proven the old password; `undefined` on every later page, which proves nothing. */
  readonly cause: 'expired' | 'must-change' | undefined;
  readonly username: string;
  /** Name of the provider that changes it. */
  readonly provider: string;
  /** Hidden field `rd`, already judged by the return-target guard. */
  readonly returnTo: string;
  readonly csrf: string;
  readonly problem?: PasswordProblem | undefined;
}

// As on the sign-in page: upper bounds in UTF-16 units of what the directory engine takes in bytes.
const maxPasswordLength = 1_024;

export function renderPassword(site: Site, language: Language, model: PasswordModel): string {
  const text = messages[language];
  const { title, failedTitle, backToSignIn } = text.passwordChange;
  const { problem, cause } = model;
  const signIn = `${site.portalPath}/login?${new URLSearchParams({ rd: model.returnTo }).toString()}`;
  const main = html`<section class="card">
<h1>${title}</h1>
${cause !== undefined && problem === undefined && html`<p class="notice" id="cause" role="status">${causeText(text, cause)}</p>`}
${problem && html`<p class="notice notice-${problem.kind === 'refused' ? 'rejected' : problem.kind}" id="problem" role="alert">${problemText(text, problem)}</p>`}
${wayTo(site, text, model)}
<p><a href="${signIn}">${backToSignIn}</a></p>
</section>`;
  return renderFrame(site, language, {
    title: problem === undefined ? title : `${failedTitle} – ${title}`,
    shape: 'gate',
    main,
    location: signIn,
  });
}

function causeText({ passwordChange }: Messages, cause: 'expired' | 'must-change'): string {
  return cause === 'expired' ? passwordChange.expired : passwordChange.mustChange;
}

/** Refusals that only look at what was typed leave nobody in doubt about the old password. */
const formMistakes: readonly PasswordRefusal[] = ['mismatch', 'same', 'malformed'];

function problemText({ passwordChange, signIn }: Messages, problem: PasswordProblem): string {
  switch (problem.kind) {
    case 'rejected':
      return signIn.rejected;
    case 'throttled':
      return signIn.throttled(problem.retryAfterSeconds);
    case 'unavailable':
      return passwordChange.unavailable;
    case 'refused': {
      const refusal = passwordChange.refusals[problem.reason];
      return formMistakes.includes(problem.reason) ? refusal : `${refusal} ${passwordChange.kept}`;
    }
  }
}

function wayTo(site: Site, text: Messages, model: PasswordModel): Html | undefined {
  const { elsewhere, elsewhereLink, nowhere } = text.passwordChange;
  switch (model.way?.kind) {
    case undefined:
      return undefined;
    case 'here':
      return passwordForm(site, text, model);
    case 'elsewhere':
      return html`<p>${elsewhere}</p>
<p><a class="button button-primary" href="${model.way.url}">${elsewhereLink}</a></p>`;
    case 'nowhere':
      return html`<p>${nowhere}</p>`;
  }
}

function passwordForm(site: Site, text: Messages, model: PasswordModel): Html {
  const { current, fresh, again, submit } = text.passwordChange;
  const { problem } = model;
  const isNewAtFault = problem?.kind === 'refused';
  const described =
    problem === undefined
      ? model.cause !== undefined && raw` aria-describedby="cause"`
      : raw` aria-describedby="problem"`;
  const field = (
    name: string,
    label: string,
    purpose: 'current-password' | 'new-password',
    isInvalid: boolean,
  ): Html => html`<div class="field">
<label for="${name}">${label}</label>
<input id="${name}" name="${name}" type="password" maxlength="${maxPasswordLength}" autocomplete="${purpose}" spellcheck="false" required${described}${isInvalid && raw` aria-invalid="true"`}${purpose === 'current-password' && raw` autofocus`}>
</div>`;
  return html`<form method="post" action="${site.portalPath}/password">
<input type="hidden" name="csrf" value="${model.csrf}">
<input type="hidden" name="rd" value="${model.returnTo}">
<input type="hidden" name="provider" value="${model.provider}">
<div class="field">
<label for="username">${text.signIn.username}</label>
<input id="username" name="username" type="text" value="${model.username}" autocomplete="username" spellcheck="false" readonly>
</div>
${field('password', current, 'current-password', problem?.kind === 'rejected')}
${field('newPassword', fresh, 'new-password', isNewAtFault)}
${field('newPasswordAgain', again, 'new-password', isNewAtFault)}
<button class="button button-primary" type="submit">${submit}</button>
</form>`;
}

/** The sign-in page: one form for the password providers, one button per other way in, one place for what went wrong. */
import { type Html, html, raw } from '../lib/html.ts';
import type { Language } from './language.ts';
import { renderFrame, type Site } from './layout.ts';
import { messages } from './messages/by-language.ts';
import type { Messages } from './messages/dictionary.ts';

export type SignInProblem =
  /** Unknown account, wrong password, locked account: deliberately one kind, so that the page cannot tell them apart. */
  | { readonly kind: 'rejected' }
  | { readonly kind: 'throttled'; readonly retryAfterSeconds: number }
  /** The provider cannot judge now; nothing is said about the password. */
  | { readonly kind: 'unavailable'; readonly retryAfterSeconds: number }
  /** A Kerberos ticket was no use, or is of somebody who may not sign in. Nothing was typed. */
  | { readonly kind: 'ticket-refused' }
  | { readonly kind: 'ticket-denied' };

export interface SignInModel {
  /** In configured order; none: no form. */
  readonly passwordProviders: readonly { readonly name: string; readonly title: string }[];
  /** `url` is where sign-in starts (`/_vratar/providers/NAME/start?rd=…`). */
  readonly redirectProviders?: readonly { readonly title: string; readonly url: string }[];
  /** Where a Kerberos ticket is tried by hand; `title`: what the provider is called. */
  readonly domainAccount?: { readonly title: string | undefined; readonly url: string } | undefined;
  /** Hidden field `rd`, already judged by the return-target guard. */
  readonly returnTo: string;
  readonly csrf: string;
  /** Where the person is going, when the return target is an application. */
  readonly destination?: { readonly title: string; readonly host: string } | undefined;
  /** As typed in the attempt before. */
  readonly username?: string | undefined;
  /** Name of the provider chosen in the attempt before. */
  readonly provider?: string | undefined;
  readonly problem?: SignInProblem | undefined;
  /** The password was changed just now, but the sign-in that follows did not succeed. */
  readonly passwordChanged?: boolean;
}

// The directory engine refuses longer ones (256 and 1,024 bytes); the browser counts UTF-16 units, so this is an upper bound.
const maxUsernameLength = 256;
const maxPasswordLength = 1_024;

export function renderSignIn(site: Site, language: Language, model: SignInModel): string {
  const text = messages[language].signIn;
  const { domainAccount, destination, problem } = model;
  const hasForm = model.passwordProviders.length > 0;
  const choices = [
    ...(domainAccount === undefined
      ? []
      : [{ label: labelOf(text, domainAccount.title), url: domainAccount.url }]),
    ...(model.redirectProviders ?? []).map(({ title, url }) => ({ label: text.continueWith(title), url })),
  ];
  const main = html`<section class="card">
<h1>${text.title}</h1>
${
  destination &&
  html`<p class="lead">${text.destination} <strong><bdi>${destination.title}</bdi></strong> <span class="host"><bdi>${destination.host}</bdi></span></p>`
}
${model.passwordChanged === true && html`<p class="notice" role="status">${messages[language].passwordChange.changed}</p>`}
${problem && html`<p class="notice notice-${problem.kind}" id="problem" role="alert">${problemText(text, problem)}</p>`}
${hasForm && passwordForm(site, text, model)}
${hasForm && choices.length > 0 && html`<p class="or"><span>${text.or}</span></p>`}
${
  choices.length > 0 &&
  html`<ul class="choices">${choices.map(
    ({ label, url }) => html`<li><a class="button" href="${url}">${label}</a></li>`,
  )}</ul>`
}
${!hasForm && choices.length === 0 && html`<p>${text.noProvider}</p>`}
</section>`;
  return renderFrame(site, language, {
    title: problem === undefined ? text.title : `${text.failedTitle} – ${text.title}`,
    shape: 'gate',
    main,
    location: `${site.portalPath}/login?${new URLSearchParams({ rd: model.returnTo }).toString()}`,
  });
}

function labelOf(text: Messages['signIn'], title: string | undefined): string {
  return title === undefined ? text.domainAccount : text.continueWith(title);
}

function problemText(text: Messages['signIn'], problem: SignInProblem): string {
  switch (problem.kind) {
    case 'rejected':
      return text.rejected;
    case 'throttled':
      return text.throttled(problem.retryAfterSeconds);
    case 'unavailable':
      return text.unavailable;
    case 'ticket-refused':
      return text.ticketRefused;
    case 'ticket-denied':
      return text.ticketDenied;
  }
}

function passwordForm(site: Site, text: Messages['signIn'], model: SignInModel): Html {
  const { problem, username = '' } = model;
  // Whoever was refused most likely mistyped the password: the name is kept, the next key stroke goes where it is needed.
  const startsAtPassword = username !== '';
  const described = problem && raw` aria-describedby="problem"`;
  const invalid = problem?.kind === 'rejected' && raw` aria-invalid="true"`;
  return html`<form method="post" action="${site.portalPath}/login">
<input type="hidden" name="csrf" value="${model.csrf}">
<input type="hidden" name="rd" value="${model.returnTo}">
${providerChoice(text, model)}
<div class="field">
<label for="username">${text.username}</label>
<input id="username" name="username" type="text" value="${username}" maxlength="${maxUsernameLength}" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false" required${described}${invalid}${!startsAtPassword && raw` autofocus`}>
</div>
<div class="field">
<label for="password">${text.password}</label>
<input id="password" name="password" type="password" maxlength="${maxPasswordLength}" autocomplete="current-password" spellcheck="false" required${described}${invalid}${startsAtPassword && raw` autofocus`}>
</div>
<button class="button button-primary" type="submit">${text.submit}</button>
</form>`;
}

/** A menu only when there is something to choose; it begins with leaving the choice to the account name. */
function providerChoice(text: Messages['signIn'], model: SignInModel): Html | undefined {
  const [onlyOne, ...others] = model.passwordProviders;
  if (onlyOne === undefined || others.length === 0) return undefined;
  const options = model.passwordProviders.map(
    ({ name, title }) =>
      html`<option value="${name}"${name === model.provider && raw` selected`}>${title}</option>`,
  );
  return html`<div class="field">
<label for="provider">${text.provider}</label>
<select id="provider" name="provider" autocomplete="off"><option value="">${text.anyProvider}</option>${options}</select>
</div>`;
}

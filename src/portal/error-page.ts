/** The error page: a status, a fixed title, one sentence about what to do, the request id. Never a cause. */
import { type Html, html } from '../lib/html.ts';
import type { Language } from './language.ts';
import { renderFrame, type Site } from './layout.ts';
import { messages } from './messages/by-language.ts';
import { type ErrorStatus, type ErrorText, errorStatuses, type Messages } from './messages/dictionary.ts';
import { signOutForm } from './portal-page.ts';

export interface ErrorModel {
  /** One without a text of its own is explained as 400 or 500; the number is shown as it is. */
  readonly status: number;
  readonly requestId: string;
  /** A form with a bad CSRF value or from a foreign origin: its own text instead of "no access". */
  readonly isFormExpired?: boolean;
  /** A mailbox that cannot be opened: whose fault it is, in the place of the status' own text. */
  readonly mailbox?: 'missing' | 'refused' | undefined;
  /** Who is signed in: shown on a denial only, where it explains something. `csrf` adds the way to another account. */
  readonly signedIn?: { readonly name: string; readonly csrf?: string | undefined } | undefined;
  /** Sent as Retry-After. */
  readonly retryAfterSeconds?: number | undefined;
  /** Path and query that show this page again by GET; only below the portal path, where `lang` is understood. */
  readonly location?: string | undefined;
}

export function renderError(site: Site, language: Language, model: ErrorModel): string {
  const text = messages[language];
  const { title, advice } = errorText(text.error, model);
  const signedIn = model.status === 403 && model.isFormExpired !== true ? model.signedIn : undefined;
  const main = html`<section class="card error">
<p class="status" aria-hidden="true">${model.status}</p>
<h1>${title}</h1>
<p>${advice}</p>
${signedIn && html`<p>${text.error.signedInAs} <strong><bdi>${signedIn.name}</bdi></strong>.</p>`}
<div class="actions">
${primaryAction(site, text, model)}
${signedIn?.csrf !== undefined && signOutForm(site, signedIn.csrf, text.error.otherAccount)}
</div>
<p class="request-id">${text.error.requestId} <code>${model.requestId}</code>. ${text.error.requestIdHint}</p>
</section>`;
  return renderFrame(site, language, {
    title: `${title} (${model.status})`,
    shape: 'gate',
    main,
    location: model.location,
  });
}

function primaryAction({ portalPath }: Site, text: Messages, { status }: ErrorModel): Html {
  return status === 401
    ? html`<a class="button button-primary" href="${portalPath}/login">${text.signIn.submit}</a>`
    : html`<a class="button button-primary" href="${portalPath}/">${text.error.toPortal}</a>`;
}

function errorText(
  text: Messages['error'],
  { status, isFormExpired = false, mailbox }: ErrorModel,
): ErrorText {
  if (isFormExpired) return text.formExpired;
  if (mailbox !== undefined) return mailbox === 'missing' ? text.mailboxMissing : text.mailboxRefused;
  return text.byStatus[isKnownStatus(status) ? status : status < 500 ? 400 : 500];
}

function isKnownStatus(status: number): status is ErrorStatus {
  return (errorStatuses as readonly number[]).includes(status);
}

/** The cookies that are between the browser and the gateway: applications never see them. */
import { languageCookieName } from '../../portal/language.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import { KeptFormCookie } from '../kept-form/cookie.ts';
import { MailMark } from '../mailbox/mark.ts';
import type { CsrfGuard } from '../sign-in/csrf.ts';

/** Each name costs every request with a cookie a little, so only those that may be there. */
export function ownCookieNames(
  {
    sessionCookie,
    negotiation,
    snapshot,
    mailboxes,
  }: Pick<GatewayDependencies, 'sessionCookie' | 'negotiation' | 'snapshot' | 'mailboxes'>,
  csrf: CsrfGuard,
): readonly string[] {
  return [
    sessionCookie.name,
    csrf.cookieName,
    languageCookieName,
    ...(negotiation === undefined ? [] : [negotiation.cookie.name]),
    ...(snapshot.applications.all.some(({ options }) => options.keepForms)
      ? [new KeptFormCookie(sessionCookie.name, snapshot.publicOrigin.scheme === 'https').name]
      : []),
    ...(mailboxes.length === 0 ? [] : [new MailMark(sessionCookie.name, snapshot).cookieName]),
  ];
}

/** The cookies that are between the browser and the gateway: applications never see them. */
import { languageCookieName } from '../portal/language.ts';
import { CsrfGuard } from './csrf.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { MailMark } from './mail-mark.ts';

export function createCsrfGuard({
  snapshot,
  sessionCookie,
}: Pick<GatewayDependencies, 'snapshot' | 'sessionCookie'>): CsrfGuard {
  return new CsrfGuard(sessionCookie.name.replace(/^__Host-/, ''), snapshot.publicOrigin.scheme === 'https');
}

export function ownCookieNames(
  {
    sessionCookie,
    negotiation,
    snapshot,
  }: Pick<GatewayDependencies, 'sessionCookie' | 'negotiation' | 'snapshot'>,
  csrf: CsrfGuard,
): readonly string[] {
  const mark = new MailMark(sessionCookie.name, snapshot);
  const names = [sessionCookie.name, csrf.cookieName, languageCookieName, mark.cookieName];
  return negotiation === undefined ? names : [...names, negotiation.cookie.name];
}

/** The cookies that are between the browser and the gateway: applications never see them. */
import { languageCookieName } from '../portal/language.ts';
import { CsrfGuard } from './csrf.ts';
import type { GatewayDependencies } from './dependencies.ts';

export function createCsrfGuard({
  snapshot,
  sessionCookie,
}: Pick<GatewayDependencies, 'snapshot' | 'sessionCookie'>): CsrfGuard {
  return new CsrfGuard(sessionCookie.name.replace(/^__Host-/, ''), snapshot.publicOrigin.scheme === 'https');
}

export function ownCookieNames(
  { sessionCookie }: Pick<GatewayDependencies, 'sessionCookie'>,
  csrf: CsrfGuard,
): readonly string[] {
  return [sessionCookie.name, csrf.cookieName, languageCookieName];
}

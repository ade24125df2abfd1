/** The page that asks for a new password, with what every page of ours needs to be sent back from this browser. */
import { languageParameter } from '../../portal/language.ts';
import type { PageReply } from '../../portal/pages.ts';
import type { PasswordModel } from '../../portal/password-page.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import { languageOf } from '../language-of.ts';
import type { CsrfGuard } from './csrf.ts';
import type { PageRequest } from './sign-in.ts';

export interface PasswordPageState
  extends Pick<PasswordModel, 'way' | 'cause' | 'username' | 'provider' | 'problem'> {
  readonly returnTo: string | undefined;
}

export function passwordPage(
  { exchange, query }: PageRequest,
  { returnTo, ...state }: PasswordPageState,
  { pages, snapshot }: Pick<GatewayDependencies, 'pages' | 'snapshot'>,
  csrfGuard: CsrfGuard,
): PageReply {
  const csrf = csrfGuard.token(exchange);
  const page = pages.password(
    { ...state, returnTo: returnTo ?? `${snapshot.portalPath}/`, csrf: csrf.value },
    languageOf(exchange, query.get(languageParameter) ?? undefined),
  );
  page.headers.push(...csrf.headers);
  return page;
}

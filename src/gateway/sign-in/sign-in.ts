/** One attempt to sign in with a password: form in, session cookie or the page again out. */
import { GatewayError } from '../../errors.ts';
import type { Exchange } from '../../http/exchange.ts';
import { parseAuthority } from '../../http/host.ts';
import { parseTarget } from '../../http/target.ts';
import { Secret } from '../../lib/secret.ts';
import { languageParameter } from '../../portal/language.ts';
import type { PageReply } from '../../portal/pages.ts';
import type { SignInProblem } from '../../portal/sign-in-page.ts';
import type { SignInOutcome } from '../../providers/chain.ts';
import { splitUrl } from '../addresses/original-request.ts';
import { negotiateLocation } from '../addresses/sign-in-location.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import { languageOf } from '../language-of.ts';
import type { PortalRequest } from '../portal.ts';
import type { CsrfGuard } from './csrf.ts';
import { passwordPage } from './password-page.ts';

export type SignInResult =
  | { readonly kind: 'signed-in'; readonly setCookie: string }
  | { readonly kind: 'refused'; readonly page: PageReply };

/** What the page shows again after a refusal; never the password. */
interface Typed {
  readonly username: string;
  readonly provider: string | undefined;
}

/** What a page needs to know of the request it answers. */
export interface PageRequest {
  readonly exchange: Pick<Exchange, 'head' | 'clientAddress'>;
  readonly origin: { readonly host: string };
  readonly query: URLSearchParams;
}

export class SignIn {
  readonly #dependencies: GatewayDependencies;
  readonly #csrf: CsrfGuard;

  constructor(dependencies: GatewayDependencies, csrf: CsrfGuard) {
    this.#dependencies = dependencies;
    this.#csrf = csrf;
  }

  /**
   * Wrong, throttled and unavailable are pages; an outage is 503 and never "wrong password".
   * Throws what is none of these (a bug, the store away while the session is stored, an identity that cannot be told on).
   */
  async attempt(
    request: PortalRequest,
    form: ReadonlyMap<string, string>,
    returnTo: string | undefined,
  ): Promise<SignInResult> {
    const typed: Typed = {
      username: form.get('username') ?? '',
      provider: form.get('provider') || undefined,
    };
    const refused = (problem: SignInProblem): SignInResult => ({
      kind: 'refused',
      page: this.page(request, returnTo, problem, typed),
    });
    try {
      const outcome = await this.#try(request, typed, new Secret(form.get('password') ?? ''));
      if (outcome.kind === 'signed-in') return outcome;
      const change = outcome.kind === 'rejected' ? outcome.passwordChange : undefined;
      if (change === undefined || outcome.kind !== 'rejected') return refused({ kind: 'rejected' });
      const cause = outcome.reason === 'password-expired' ? 'expired' : 'must-change';
      const state = { ...change, cause, username: typed.username, returnTo } as const;
      return { kind: 'refused', page: passwordPage(request, state, this.#dependencies, this.#csrf) };
    } catch (error) {
      const problem = problemOf(error);
      if (problem === undefined) throw error;
      return refused(problem);
    }
  }

  /** With a password that was changed just now: where that does not open a session, the page says what did happen. */
  async afterChange(
    request: PortalRequest,
    typed: Typed,
    password: Secret,
    returnTo: string | undefined,
  ): Promise<SignInResult> {
    try {
      const outcome = await this.#try(request, typed, password);
      if (outcome.kind === 'signed-in') return outcome;
    } catch (error) {
      if (problemOf(error) === undefined) throw error;
    }
    return { kind: 'refused', page: this.page(request, returnTo, undefined, typed, true) };
  }

  async #try(
    { exchange }: PortalRequest,
    typed: Typed,
    password: Secret,
  ): Promise<
    | { readonly kind: 'signed-in'; readonly setCookie: string }
    | Exclude<SignInOutcome, { readonly kind: 'authenticated' }>
  > {
    const { chain, sessions, sessionCookie, grantRoles } = this.#dependencies;
    const { clientAddress } = exchange;
    const outcome = await chain.authenticate({ kind: 'password', ...typed, password }, { clientAddress });
    if (outcome.kind !== 'authenticated') return outcome;
    const previous = sessionCookie.readTicket(exchange.head.cookie);
    const principal = grantRoles(outcome.principal);
    const { ticket } = await sessions.issue(principal, previous);
    return { kind: 'signed-in', setCookie: sessionCookie.issue(ticket) };
  }

  page(
    request: PageRequest,
    returnTo: string | undefined,
    problem?: SignInProblem,
    typed?: Typed,
    passwordChanged = false,
  ): PageReply {
    const { pages, passwordProviders, snapshot } = this.#dependencies;
    const { exchange, query } = request;
    const csrf = this.#csrf.token(exchange);
    const target = returnTo ?? `${snapshot.portalPath}/`;
    const page = pages.signIn(
      {
        passwordProviders,
        returnTo: target,
        csrf: csrf.value,
        destination: this.#destination(target, request),
        username: typed?.username,
        provider: typed?.provider,
        problem,
        passwordChanged,
        domainAccount: this.#domainAccount(target, request),
      },
      languageOf(exchange, query.get(languageParameter) ?? undefined),
    );
    page.headers.push(...csrf.headers);
    return page;
  }

  /** The way to try a ticket by hand, for whom the operator wants to be asked for one. */
  #domainAccount(
    returnTo: string,
    { exchange, origin }: PageRequest,
  ): { title: string | undefined; url: string } | undefined {
    const { negotiation, snapshot } = this.#dependencies;
    const { head, clientAddress } = exchange;
    if (negotiation?.policy.admits({ head, clientAddress, host: origin.host }) !== true) return undefined;
    return { title: negotiation.title, url: negotiateLocation(returnTo, snapshot) };
  }

  /** The application the person is on the way to, so that the page can name it. */
  #destination(returnTo: string, { origin }: PageRequest): { title: string; host: string } | undefined {
    const { snapshot } = this.#dependencies;
    const url = returnTo.startsWith('/')
      ? undefined
      : splitUrl(returnTo.includes('/', 8) ? returnTo : `${returnTo}/`);
    const host = url === undefined ? origin.host : parseAuthority(url.authority)?.host;
    const path = parseTarget(url?.target ?? returnTo)?.canonical;
    if (host === undefined || path === undefined || path.startsWith(`${snapshot.portalPath}/`))
      return undefined;
    const application = snapshot.applications.find(host, path);
    return application === undefined ? undefined : { title: application.title, host };
  }
}

const defaultRetryAfterSeconds = 5;

/** Refusals to judge that the pages themselves explain. */
export function problemOf(
  error: unknown,
): Extract<SignInProblem, { readonly retryAfterSeconds: number }> | undefined {
  if (!(error instanceof GatewayError)) return undefined;
  const retryAfterSeconds = error.retryAfterSeconds ?? defaultRetryAfterSeconds;
  switch (error.code) {
    case 'THROTTLED':
      return { kind: 'throttled', retryAfterSeconds };
    case 'PROVIDER_UNAVAILABLE':
    case 'PROVIDER_MISCONFIGURED':
    case 'PROVIDER_PROTOCOL':
    case 'SESSION_STORE_UNAVAILABLE':
      return { kind: 'unavailable', retryAfterSeconds };
    default:
      return undefined;
  }
}

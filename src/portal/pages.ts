/** All pages behind one object: a view model and a language in, a complete answer out. Knows no sessions, sockets or providers. */
import type { Assets } from './assets.ts';
import { type ErrorModel, renderError } from './error-page.ts';
import { type GoneFormModel, type KeptFormModel, renderGoneForm, renderKeptForm } from './kept-form-page.ts';
import type { Language } from './language.ts';
import { contentSecurityPolicy, pageHeaders } from './page-headers.ts';
import { type PasswordModel, type PasswordProblem, renderPassword } from './password-page.ts';
import { type PortalModel, renderPortal } from './portal-page.ts';
import { renderSignIn, type SignInModel, type SignInProblem } from './sign-in-page.ts';
import { renderSignedOutPending, renderSignOut, type SignOutModel } from './sign-out-page.ts';

export interface PageReply {
  readonly status: number;
  /** Flat names and values, the caller's to extend; without Content-Length. */
  readonly headers: string[];
  readonly body: Buffer;
}

export interface Pages {
  /**
   * 200; 401 rejected or a ticket refused, 403 the person of a ticket, 429 throttled, 503 unavailable, the latter two
   * with Retry-After.
   */
  signIn(model: SignInModel, language: Language): PageReply;
  /** 401 to who is not signed in yet; 422 a new password refused, 429 throttled, 503 unavailable. */
  password(model: PasswordModel, language: Language): PageReply;
  portal(model: PortalModel, language: Language): PageReply;
  signOut(model: SignOutModel, language: Language): PageReply;
  /** 202: the session ended here, the store has not recorded it yet. */
  signedOutPending(language: Language): PageReply;
  keptForm(model: KeptFormModel, language: Language): PageReply;
  /** 410. */
  goneForm(model: GoneFormModel, language: Language): PageReply;
  error(model: ErrorModel, language: Language): PageReply;
}

export interface PagesOptions {
  readonly portalPath: string;
  readonly assets: Assets;
  /**
   * Origins to which signing in may lead by redirect: those of all applications, `https://*.example.com` for
   * patterns. Throws TypeError at once when one is not an http(s) origin.
   */
  readonly formTargets: readonly string[];
  /** Origin of the sign-in page (`publicUrl`), where signing out leads. */
  readonly signInOrigin: string;
}

const problemStatus = {
  rejected: 401,
  throttled: 429,
  unavailable: 503,
  'ticket-refused': 401,
  'ticket-denied': 403,
} as const satisfies Record<SignInProblem['kind'], number>;

const passwordStatus = {
  rejected: 401,
  refused: 422,
  throttled: 429,
  unavailable: 503,
} as const satisfies Record<PasswordProblem['kind'], number>;

export function createPages(options: PagesOptions): Pages {
  const { portalPath, assets, formTargets, signInOrigin } = options;
  const site = { portalPath, assets };
  const signInPolicy = contentSecurityPolicy([...formTargets, signInOrigin]);
  // The page is on the application's own origin; where that leads on afterwards may be another host of the domain.
  const applicationPolicy = contentSecurityPolicy(formTargets);
  // Every other form is a sign-out, which ends on the sign-in page.
  const signOutPolicy = contentSecurityPolicy([signInOrigin]);

  function reply(status: number, policy: string, language: Language, document: string): PageReply {
    return { status, headers: pageHeaders(policy, language), body: Buffer.from(document) };
  }

  return {
    signIn: (model, language) => {
      const { problem } = model;
      const status = problem === undefined ? 200 : problemStatus[problem.kind];
      const answer = reply(status, signInPolicy, language, renderSignIn(site, language, model));
      if (problem !== undefined && 'retryAfterSeconds' in problem)
        addRetryAfter(answer, problem.retryAfterSeconds);
      return answer;
    },
    password: (model, language) => {
      const { problem } = model;
      const status = problem === undefined ? 401 : passwordStatus[problem.kind];
      const answer = reply(status, signInPolicy, language, renderPassword(site, language, model));
      if (problem !== undefined && 'retryAfterSeconds' in problem)
        addRetryAfter(answer, problem.retryAfterSeconds);
      return answer;
    },
    portal: (model, language) => reply(200, signOutPolicy, language, renderPortal(site, language, model)),
    signOut: (model, language) => reply(200, signOutPolicy, language, renderSignOut(site, language, model)),
    signedOutPending: (language) =>
      reply(202, signOutPolicy, language, renderSignedOutPending(site, language)),
    keptForm: (model, language) =>
      reply(200, applicationPolicy, language, renderKeptForm(site, language, model)),
    goneForm: (model, language) => reply(410, signOutPolicy, language, renderGoneForm(site, language, model)),
    error: (model, language) => {
      const answer = reply(model.status, signOutPolicy, language, renderError(site, language, model));
      if (model.retryAfterSeconds !== undefined) addRetryAfter(answer, model.retryAfterSeconds);
      return answer;
    },
  };
}

/** Whole seconds, at least one (RFC 9110 section 10.2.3). */
function addRetryAfter(answer: PageReply, seconds: number): void {
  answer.headers.push('Retry-After', String(Math.max(1, Math.ceil(seconds))));
}

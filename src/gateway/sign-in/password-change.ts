/**
 * One attempt to replace a password that is no longer good: form in, session cookie or a page out. Both passwords come
 * with the same form, so that nothing is remembered between the sign-in that failed and this request.
 */
import { Secret } from '../../lib/secret.ts';
import type { PasswordProblem } from '../../portal/password-page.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import type { PortalRequest } from '../portal.ts';
import type { CsrfGuard } from './csrf.ts';
import { passwordPage } from './password-page.ts';
import { problemOf, type SignIn, type SignInResult } from './sign-in.ts';

export class PasswordChange {
  readonly #dependencies: GatewayDependencies;
  readonly #csrf: CsrfGuard;
  readonly #signIn: SignIn;

  constructor(dependencies: GatewayDependencies, csrf: CsrfGuard, signIn: SignIn) {
    this.#dependencies = dependencies;
    this.#csrf = csrf;
    this.#signIn = signIn;
  }

  /** Who could change it is signed in with the new one, like everybody else. Throws as `SignIn.attempt` does. */
  async attempt(
    request: PortalRequest,
    form: ReadonlyMap<string, string>,
    returnTo: string | undefined,
  ): Promise<SignInResult> {
    const typed = { username: form.get('username') ?? '', provider: form.get('provider') };
    const fresh = new Secret(form.get('newPassword') ?? '');
    const problem = await this.#change(request, form, typed, fresh);
    if (problem === undefined) return await this.#signIn.afterChange(request, typed, fresh, returnTo);
    return { kind: 'refused', page: this.#page(request, typed, problem, returnTo) };
  }

  async #change(
    { exchange }: PortalRequest,
    form: ReadonlyMap<string, string>,
    typed: { readonly username: string; readonly provider: string | undefined },
    fresh: Secret,
  ): Promise<PasswordProblem | undefined> {
    const passwords = { old: new Secret(form.get('password') ?? ''), new: fresh };
    const again = form.get('newPasswordAgain') ?? '';
    try {
      const outcome = await this.#dependencies.passwordChanges.change(
        { ...typed, passwords, again },
        { clientAddress: exchange.clientAddress },
      );
      if (outcome.kind === 'changed') return undefined;
      return outcome.kind === 'refused' ? outcome : { kind: 'rejected' };
    } catch (error) {
      const problem = problemOf(error);
      if (problem === undefined) throw error;
      return problem;
    }
  }

  #page(
    request: PortalRequest,
    { username, provider = '' }: { readonly username: string; readonly provider: string | undefined },
    problem: PasswordProblem,
    returnTo: string | undefined,
  ) {
    const isOver =
      problem.kind === 'refused' && (problem.reason === 'not-allowed' || problem.reason === 'not-required');
    return passwordPage(
      request,
      // The form comes back for everybody alike: that it does says nothing about the account.
      { way: isOver ? undefined : { kind: 'here' }, cause: undefined, username, provider, problem, returnTo },
      this.#dependencies,
      this.#csrf,
    );
  }
}

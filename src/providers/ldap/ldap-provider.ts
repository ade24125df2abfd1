/** Verifies passwords in a directory. Knows providers and people; how a directory is asked is the directory's. */
import type { Directory } from '../../directory/directory.ts';
import { toNameClaims } from '../../identity/account-name.ts';
import type { Credential } from '../../identity/credential.ts';
import type { AuthenticationOutcome, PasswordChangeOutcome, RefreshOutcome } from '../../identity/outcome.ts';
import type { Principal } from '../../identity/principal.ts';
import { toPrincipal } from '../directory-principal.ts';
import type { Attempt, PasswordChange, Provider } from '../provider.ts';
import type { LdapProviderOptions } from './options.ts';

/** The directory stays the caller's: several providers may share it, so disposing of one does not close it. */
export function createLdapProvider(options: LdapProviderOptions, directory: Directory): Provider {
  const { name } = options;
  const claims = toNameClaims(options);
  return {
    name,
    type: options.type,
    title: options.title ?? name,

    async authenticate(credential: Credential, attempt: Attempt): Promise<AuthenticationOutcome> {
      if (credential.kind !== 'password') return { kind: 'not-applicable' };
      if (credential.provider !== undefined && credential.provider !== name)
        return { kind: 'not-applicable' };
      const outcome = await directory.verify(credential.username, credential.password, {
        ...attempt,
        claims,
      });
      if (outcome.kind === 'rejected') {
        const { reason, passwordChange: way } = outcome;
        if (way === undefined) return { kind: 'rejected', reason };
        return { kind: 'rejected', reason, passwordChange: { provider: name, way } };
      }
      return { kind: 'authenticated', principal: toPrincipal(name, outcome.person) };
    },

    async changePassword(change: PasswordChange, attempt: Attempt): Promise<PasswordChangeOutcome> {
      return await directory.changePassword(change.username, change.passwords, { ...attempt, claims });
    },

    async refresh(principal: Principal, signal: AbortSignal): Promise<RefreshOutcome> {
      const outcome = await directory.lookup({ id: principal.subject, username: principal.username }, signal);
      if (outcome.kind === 'ended') return outcome;
      return { kind: 'current', principal: toPrincipal(name, outcome.person), stale: outcome.stale };
    },

    async [Symbol.asyncDispose]() {},
  };
}

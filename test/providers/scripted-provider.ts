/** A provider that says what the test tells it to, and remembers what it was asked. */

import type { Credential, PasswordCredential } from '#src/identity/credential.ts';
import type { AuthenticationOutcome, RefreshOutcome } from '#src/identity/outcome.ts';
import type { Attempt, Provider } from '#src/providers/provider.ts';
import { createPrincipal } from '#test/session/fixture.ts';

export type Script = (credential: PasswordCredential, attempt: Attempt) => Promise<AuthenticationOutcome>;

export class ScriptedProvider implements Provider {
  readonly name: string;
  readonly type = 'scripted';
  readonly title: string;
  readonly asked: string[] = [];
  script: Script;

  constructor(name: string, script: Script) {
    this.name = name;
    this.title = name;
    this.script = script;
  }

  async authenticate(credential: Credential, attempt: Attempt): Promise<AuthenticationOutcome> {
    if (credential.kind !== 'password') return { kind: 'not-applicable' };
    this.asked.push(credential.username);
    return await this.script(credential, attempt);
  }

  async refresh(): Promise<RefreshOutcome> {
    return { kind: 'current', principal: createPrincipal({ provider: this.name }), stale: false };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Knows one account. */
export function knows(provider: string, username: string, password: string): Script {
  return async (credential, attempt) => {
    if (credential.username !== username) return { kind: 'rejected', reason: 'unknown-account' };
    await attempt.admit(username);
    return credential.password.reveal() === password
      ? { kind: 'authenticated', principal: createPrincipal({ provider, username, subject: username }) }
      : { kind: 'rejected', reason: 'wrong-password' };
  };
}

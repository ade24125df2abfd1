/** What every password provider must do, whatever it verifies against. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import type { PasswordCredential } from '#src/identity/credential.ts';
import { Secret } from '#src/lib/secret.ts';
import type { Attempt, Provider } from '#src/providers/provider.ts';

export interface ProviderFixture extends AsyncDisposable {
  readonly provider: Provider;
  /** An account that exists: other spellings of its name lead to the canonical one. */
  readonly account: {
    readonly username: string;
    readonly password: string;
    readonly spellings: readonly string[];
  };
}

export interface RecordedAttempt extends Attempt {
  readonly admitted: string[];
}

export function recordAttempt(changes: Partial<Attempt> = {}): RecordedAttempt {
  const admitted: string[] = [];
  return {
    clientAddress: '192.0.2.7',
    signal: AbortSignal.timeout(10_000),
    admit: async (canonicalAccount) => {
      admitted.push(canonicalAccount);
    },
    ...changes,
    admitted,
  };
}

export function passwordCredential(
  username: string,
  password: string,
  provider?: string,
): PasswordCredential {
  return { kind: 'password', username, password: new Secret(password), provider };
}

export function providerContract(name: string, create: () => Promise<ProviderFixture>): void {
  describe(`${name} as a provider`, () => {
    test('turns the right password into a principal with the canonical name', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      for (const spelling of [account.username, ...account.spellings]) {
        const credential = passwordCredential(spelling, account.password);
        const outcome = await provider.authenticate(credential, recordAttempt());
        assert.equal(outcome.kind, 'authenticated', spelling);
        assert.equal(outcome.principal.provider, provider.name);
        assert.equal(outcome.principal.username, account.username);
        assert.notEqual(outcome.principal.subject, '');
      }
    });

    test('gives one person one subject', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      const subjects = new Set<string>();
      for (const spelling of [account.username, ...account.spellings]) {
        const credential = passwordCredential(spelling, account.password);
        const outcome = await provider.authenticate(credential, recordAttempt());
        assert.equal(outcome.kind, 'authenticated');
        subjects.add(outcome.principal.subject);
      }
      assert.equal(subjects.size, 1);
    });

    const wrong = [
      { case: 'a wrong password', change: (password: string) => `${password}!`, reason: 'wrong-password' },
      {
        case: 'a cut password',
        change: (password: string) => password.slice(0, -1),
        reason: 'wrong-password',
      },
      { case: 'an empty password', change: () => '', reason: 'credentials-malformed' },
    ];
    for (const { case: what, change, reason } of wrong) {
      test(`rejects ${what}`, async () => {
        await using fixture = await create();
        const { provider, account } = fixture;
        const credential = passwordCredential(account.username, change(account.password));
        assert.deepEqual(await provider.authenticate(credential, recordAttempt()), {
          kind: 'rejected',
          reason,
        });
      });
    }

    test('rejects an account it does not know', async () => {
      await using fixture = await create();
      const credential = passwordCredential('nobody-of-this-name', 'whatever');
      assert.deepEqual(await fixture.provider.authenticate(credential, recordAttempt()), {
        kind: 'rejected',
        reason: 'unknown-account',
      });
    });

    test('asks to be admitted under the canonical name before it tries the password', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      for (const spelling of [account.username, ...account.spellings]) {
        const attempt = recordAttempt();
        await provider.authenticate(passwordCredential(spelling, 'wrong'), attempt);
        assert.deepEqual(attempt.admitted, [account.username]);
      }
    });

    test('passes the refusal of the throttle on, whatever the password', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      const refusal = new GatewayError('THROTTLED', 'too many attempts');
      const attempt = recordAttempt({ admit: async () => await Promise.reject(refusal) });
      const credential = passwordCredential(account.username, account.password);
      await assert.rejects(provider.authenticate(credential, attempt), refusal);
    });

    test('leaves a credential that was meant for another provider alone', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      const credential = passwordCredential(account.username, account.password, 'another-provider');
      const attempt = recordAttempt();
      assert.deepEqual(await provider.authenticate(credential, attempt), { kind: 'not-applicable' });
      assert.deepEqual(attempt.admitted, []);
    });

    test('calls an attempt that nobody waits for "cannot tell", never wrong', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      const attempt = recordAttempt({ signal: AbortSignal.abort() });
      const credential = passwordCredential(account.username, account.password);
      await assert.rejects(
        provider.authenticate(credential, attempt),
        (error) => error instanceof GatewayError && error.code === 'PROVIDER_UNAVAILABLE',
      );
    });

    test('confirms a signed-in person', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      const credential = passwordCredential(account.username, account.password);
      const outcome = await provider.authenticate(credential, recordAttempt());
      assert.equal(outcome.kind, 'authenticated');
      const refreshed = await provider.refresh(outcome.principal, AbortSignal.timeout(10_000));
      assert.deepEqual(refreshed, { kind: 'current', principal: outcome.principal, stale: false });
    });

    test('does not confirm a namesake of somebody who left', async () => {
      await using fixture = await create();
      const { provider, account } = fixture;
      const credential = passwordCredential(account.username, account.password);
      const outcome = await provider.authenticate(credential, recordAttempt());
      assert.equal(outcome.kind, 'authenticated');
      const predecessor = { ...outcome.principal, subject: '00000000-0000-4000-8000-000000000000' };
      const refreshed = await provider.refresh(predecessor, AbortSignal.timeout(10_000));
      assert.equal(refreshed.kind, 'ended');
    });
  });
}

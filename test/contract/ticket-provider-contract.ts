/** What every provider that accepts tickets must do, whoever issued them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import type { Attempt, Provider } from '#src/providers/provider.ts';
import { attemptOf, negotiateCredential } from '#test/providers/kerberos/ticket-provider.ts';
import { passwordCredential } from './provider-contract.ts';

export interface TicketProviderFixture extends AsyncDisposable {
  readonly provider: Provider;
  /** A fresh token of one and the same person. */
  token(): Promise<string>;
  /** That person's account name. */
  readonly username: string;
}

export function ticketProviderContract(name: string, create: () => Promise<TicketProviderFixture>): void {
  describe(`${name} as a provider`, () => {
    const authenticate = async (fixture: TicketProviderFixture, attempt?: Partial<Attempt>) =>
      await fixture.provider.authenticate(negotiateCredential(await fixture.token()), attemptOf(attempt));

    test('turns a ticket into a principal, the same for every ticket of one person', async () => {
      await using fixture = await create();
      const first = await authenticate(fixture);
      const second = await authenticate(fixture);
      assert.ok(first.kind === 'authenticated' && second.kind === 'authenticated');
      assert.deepEqual(first.principal, second.principal);
      assert.equal(first.principal.provider, fixture.provider.name);
      assert.equal(first.principal.username, fixture.username);
      assert.notEqual(first.principal.subject, '');
    });

    test('rejects a token that is none', async () => {
      await using fixture = await create();
      const outcome = await fixture.provider.authenticate(negotiateCredential('AAAA'), attemptOf());
      assert.deepEqual(outcome, { kind: 'rejected', reason: 'token-malformed' });
    });

    test('leaves passwords, and tokens that were meant for another provider, alone', async () => {
      await using fixture = await create();
      const others = [
        passwordCredential(fixture.username, 'password'),
        negotiateCredential(await fixture.token(), 'another-provider'),
      ];
      for (const credential of others) {
        const outcome = await fixture.provider.authenticate(credential, attemptOf());
        assert.deepEqual(outcome, { kind: 'not-applicable' });
      }
    });

    test('calls an attempt that nobody waits for "cannot tell", never wrong', async () => {
      await using fixture = await create();
      await assert.rejects(
        authenticate(fixture, { signal: AbortSignal.abort() }),
        (error) => error instanceof GatewayError && error.code === 'PROVIDER_UNAVAILABLE',
      );
    });

    test('confirms a signed-in person, and nobody who is not the same', async () => {
      await using fixture = await create();
      const { provider } = fixture;
      const outcome = await authenticate(fixture);
      assert.ok(outcome.kind === 'authenticated');
      const { principal } = outcome;
      assert.deepEqual(await provider.refresh(principal, AbortSignal.timeout(20_000)), {
        kind: 'current',
        principal,
        stale: false,
      });
      const stranger = { ...principal, subject: '00000000-0000-4000-8000-000000000000' };
      const refreshed = await provider.refresh(stranger, AbortSignal.timeout(20_000));
      assert.equal(refreshed.kind, 'ended');
    });
  });
}

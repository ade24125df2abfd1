/** What a change of a password costs, takes and leaves behind, whoever makes it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import type { PasswordChangeOutcome } from '#src/identity/outcome.ts';
import { Secret } from '#src/lib/secret.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { createSignInChain, type RefusalFloor, type SignInChain } from '#src/providers/chain.ts';
import { PasswordChanges } from '#src/providers/password-changes.ts';
import type { Attempt, PasswordChange } from '#src/providers/provider.ts';
import { createThrottle } from '#src/providers/throttle.ts';
import { AttemptLedger } from '#src/state/attempt-ledger.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { passwordCredential } from '#test/contract/provider-contract.ts';
import { knows, ScriptedProvider } from '#test/providers/scripted-provider.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';

const request = { clientAddress: '192.0.2.7', requestId: 'r-1' };

type Answer = (change: PasswordChange, attempt: Attempt) => Promise<PasswordChangeOutcome>;

/** Changes the password of alice, `old`, to anything but `history`. */
const changesAlice: Answer = async ({ username, passwords }, attempt) => {
  if (username !== 'alice') return { kind: 'rejected', reason: 'unknown-account' };
  await attempt.admit(username);
  if (passwords.old.reveal() !== 'old') return { kind: 'rejected', reason: 'wrong-password' };
  return passwords.new.reveal() === 'history'
    ? { kind: 'refused', reason: 'in-history' }
    : { kind: 'changed' };
};

class ChangingProvider extends ScriptedProvider {
  readonly #answer: Answer;
  readonly changes: PasswordChange[] = [];

  constructor(name: string, answer: Answer = changesAlice) {
    super(name, knows(name, 'alice', 'old'));
    this.#answer = answer;
  }

  async changePassword(change: PasswordChange, attempt: Attempt): Promise<PasswordChangeOutcome> {
    this.changes.push(change);
    return await this.#answer(change, attempt);
  }
}

interface Fixture {
  readonly changes: PasswordChanges;
  readonly chain: SignInChain;
  readonly log: LogLines;
  readonly metrics: Metrics;
  readonly change: (old: string, fresh: string, more?: Partial<Typed>) => Promise<PasswordChangeOutcome>;
}

interface Typed {
  readonly username: string;
  readonly provider: string | undefined;
  readonly again: string;
}

const noFloor = { minMs: 0, maxMs: 0 };

function createFixture(providers: readonly ScriptedProvider[], floor: RefusalFloor = noFloor): Fixture {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const log = collectLog();
  const throttle = createThrottle({ counters: new AttemptLedger(clock, contractLimits), metrics });
  const common = { providers, throttle, logger: log.logger, metrics };
  const changes = new PasswordChanges({ ...common, refusalFloor: floor });
  return {
    changes,
    chain: createSignInChain({ ...common, clock, refusalFloor: noFloor }),
    log,
    metrics,
    change: async (old, fresh, more = {}) =>
      await changes.change(
        {
          username: 'alice',
          provider: 'corp',
          again: fresh,
          ...more,
          passwords: { old: new Secret(old), new: new Secret(fresh) },
        },
        request,
      ),
  };
}

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof GatewayError && error.code === code;

async function linesOf({ metrics }: Fixture): Promise<readonly string[]> {
  const { body } = await metrics.expose();
  return body.split('\n').filter((line) => line.startsWith('vratar_password_changes_total{'));
}

describe('what is typed into the form', () => {
  const rows = [
    { what: 'two different new passwords', old: 'old', fresh: 'a', more: { again: 'b' }, expect: 'mismatch' },
    { what: 'the old password as the new one', old: 'old', fresh: 'old', expect: 'same' },
    { what: 'no new password', old: 'old', fresh: '', expect: 'malformed' },
    { what: 'a control character', old: 'old', fresh: 'a\u0007b', expect: 'malformed' },
    { what: 'a new password of 1,025 bytes', old: 'old', fresh: 'x'.repeat(1_025), expect: 'malformed' },
  ];
  for (const { what, old, fresh, more = {}, expect } of rows) {
    test(`${what} is refused without asking anybody, as ${expect}`, async () => {
      const corp = new ChangingProvider('corp');
      const outcome = await createFixture([corp]).change(old, fresh, more);
      assert.deepEqual(outcome, { kind: 'refused', reason: expect });
      assert.equal(corp.changes.length, 0);
    });
  }

  const guesses = [
    { what: 'no old password', old: '', more: {} },
    { what: 'an old password of 1,025 bytes', old: 'x'.repeat(1_025), more: {} },
    { what: 'no provider', old: 'old', more: { provider: undefined } },
    { what: 'a provider that is not configured', old: 'old', more: { provider: 'x'.repeat(99) } },
    { what: 'a provider that changes nothing', old: 'old', more: { provider: 'staff' } },
    { what: 'no account name', old: 'old', more: { username: ' ' } },
  ];
  for (const { what, old, more } of guesses) {
    test(`${what} is no right password`, async () => {
      const corp = new ChangingProvider('corp');
      const staff = new ScriptedProvider('staff', knows('staff', 'alice', 'old'));
      const fixture = createFixture([corp, staff]);
      const outcome = await fixture.change(old, 'fresh', more);
      const isName = 'username' in more;
      assert.deepEqual(
        outcome,
        isName
          ? { kind: 'refused', reason: 'malformed' }
          : { kind: 'rejected', reason: 'credentials-malformed' },
      );
      assert.equal(corp.changes.length, 0);
      assert.ok(!(await linesOf(fixture)).join().includes('xxx'));
    });
  }
});

describe('a wrong old password', () => {
  test('counts as a failed sign-in, here and there', async () => {
    const fixture = createFixture([new ChangingProvider('corp')]);
    await fixture.change('wrong', 'fresh');
    await fixture.chain.authenticate(passwordCredential('alice', 'wrong', 'corp'), request);
    await fixture.change('wrong', 'fresh');
    await assert.rejects(fixture.change('old', 'fresh'), hasCode('THROTTLED'));
    const signIn = fixture.chain.authenticate(passwordCredential('alice', 'old', 'corp'), request);
    await assert.rejects(signIn, hasCode('THROTTLED'));
  });

  test('takes as long as a refused sign-in, and as that of an unknown account', async () => {
    const { change } = createFixture([new ChangingProvider('corp')], { minMs: 150, maxMs: 160 });
    for (const more of [{}, { username: 'nobody' }, { provider: 'unknown' }]) {
      const startedAt = performance.now();
      assert.equal((await change('wrong', 'fresh', more)).kind, 'rejected');
      // Timers may fire up to a millisecond early.
      assert.ok(performance.now() - startedAt >= 149, JSON.stringify(more));
    }
  });
});

describe('a right old password', () => {
  test('costs nothing, however often the new one is refused', async () => {
    const { change } = createFixture([new ChangingProvider('corp')]);
    for (let attempt = 0; attempt < 10; attempt++) {
      assert.deepEqual(await change('old', 'history'), { kind: 'refused', reason: 'in-history' });
    }
    assert.deepEqual(await change('old', 'fresh'), { kind: 'changed' });
  });

  test('that has to be changed is no failed sign-in', async () => {
    const corp = new ChangingProvider('corp');
    const passwordChange = { provider: 'corp', way: { kind: 'here' } } as const;
    corp.script = async () => ({ kind: 'rejected', reason: 'password-must-change', passwordChange });
    const { chain } = createFixture([corp]);
    for (let attempt = 0; attempt < 10; attempt++) {
      const outcome = await chain.authenticate(passwordCredential('alice', 'old'), request);
      assert.deepEqual(outcome, { kind: 'rejected', reason: 'password-must-change', passwordChange });
    }
  });

  test('that has to be changed is said although another provider is away', async () => {
    const away = new ScriptedProvider('away', async () => {
      throw new GatewayError('PROVIDER_UNAVAILABLE', 'away');
    });
    const corp = new ScriptedProvider('corp', async () => ({
      kind: 'rejected',
      reason: 'password-expired',
      passwordChange: { provider: 'corp', way: { kind: 'nowhere' } },
    }));
    const { chain } = createFixture([away, corp]);
    const outcome = await chain.authenticate(passwordCredential('alice', 'old'), request);
    assert.ok(outcome.kind === 'rejected' && outcome.passwordChange?.way.kind === 'nowhere');
  });
});

test('an outage is passed on, costs nothing and is never a wrong password', async () => {
  const corp = new ChangingProvider('corp', async () => {
    throw new GatewayError('PROVIDER_UNAVAILABLE', 'the directory is away', { retryAfterSeconds: 5 });
  });
  const fixture = createFixture([corp]);
  for (let attempt = 0; attempt < 10; attempt++) {
    await assert.rejects(fixture.change('old', 'fresh'), hasCode('PROVIDER_UNAVAILABLE'));
  }
});

test('each attempt leaves one audit line and one count, and no password anywhere', async () => {
  const fixture = createFixture([new ChangingProvider('corp')]);
  await fixture.change('wrong-secret', 'fresh-secret');
  await fixture.change('old', 'history');
  await fixture.change('old', 'fresh-secret');
  const audits = fixture.log.lines.filter(({ audit }) => audit === true);
  assert.deepEqual(
    audits.map(({ event, account, provider, clientAddress, requestId, reason }) => ({
      event,
      account,
      provider,
      clientAddress,
      requestId,
      reason,
    })),
    [
      ['password-change.refused', 'wrong-password'],
      ['password-change.refused', 'in-history'],
      ['password-change.accepted', undefined],
    ].map(([event, reason]) => ({ event, account: 'alice', provider: 'corp', ...request, reason })),
  );
  assert.deepEqual([...(await linesOf(fixture))].sort(), [
    'vratar_password_changes_total{provider="corp",outcome="changed",reason="none"} 1',
    'vratar_password_changes_total{provider="corp",outcome="refused",reason="in-history"} 1',
    'vratar_password_changes_total{provider="corp",outcome="rejected",reason="wrong-password"} 1',
  ]);
  assert.doesNotMatch(JSON.stringify(fixture.log.lines), /secret|"old"|"history"/);
});

/** Passwords sent with every request: what is remembered, for how long, and what a stale one costs its account. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { readBasic } from '#src/gateway/credentials/basic.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { createSignInChain, type SignInChain } from '#src/providers/chain.ts';
import { type RememberedSignIn, RequestSignIn } from '#src/providers/request-sign-in.ts';
import { createThrottle } from '#src/providers/throttle.ts';
import { AttemptLedger } from '#src/state/attempt-ledger.ts';
import { CredentialTrialLedger, type CredentialTrials } from '#src/state/credential-trials.ts';
import { passwordCredential } from '#test/contract/provider-contract.ts';
import { knows, type Script, ScriptedProvider } from '#test/providers/scripted-provider.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog } from '#test/support/log-lines.ts';

const request = { clientAddress: '192.0.2.7' };
const day = { windowMs: 86_400_000, lockForMs: 86_400_000 };

interface Fixture {
  readonly clock: ManualClock;
  readonly provider: ScriptedProvider;
  readonly chain: SignInChain;
  /** As many workers as the test asks for, which share the primary's memory. */
  readonly workers: readonly RequestSignIn[];
  readonly signIn: (password: string, worker?: number) => Promise<RememberedSignIn>;
}

function createFixture({
  script = knows('corp', 'alice', 'right'),
  workers = 1,
}: {
  script?: Script;
  workers?: number;
} = {}): Fixture {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const provider = new ScriptedProvider('corp', script);
  const limits = {
    account: { failures: 5, windowMs: 300_000, lockForMs: 300_000 },
    address: { failures: 100_000, ...day },
  };
  const chain = createSignInChain({
    providers: [provider],
    throttle: createThrottle({ counters: new AttemptLedger(clock, limits), metrics }),
    clock,
    logger: collectLog().logger,
    metrics,
    refusalFloor: { minMs: 0, maxMs: 0 },
  });
  const ledger = new CredentialTrialLedger(clock);
  const trials: CredentialTrials = {
    trialKey: async () => Buffer.alloc(32, 1),
    beginTrial: async (fingerprint) => ledger.begin(fingerprint),
    endTrial: async (fingerprint, end) => ledger.end(fingerprint, end),
  };
  const all = Array.from(
    { length: workers },
    () => new RequestSignIn({ chain, grantRoles: (principal) => principal, trials, clock }),
  );
  return {
    clock,
    provider,
    chain,
    workers: all,
    signIn: async (password, worker = 0) => {
      const field = basic('alice', password);
      return await (all[worker] as RequestSignIn).signIn(field, () => readBasic(field), request);
    },
  };
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

describe('a right password', () => {
  test('is tried once in a minute, and again after it', async () => {
    const { clock, provider, signIn } = createFixture();
    for (let second = 0; second < 60; second++) {
      assert.equal((await signIn('right')).principal?.username, 'alice');
      clock.advance(1_000);
    }
    assert.equal(provider.asked.length, 1);
    await signIn('right');
    assert.equal(provider.asked.length, 2);
  });

  test('costs one trial when a hundred requests come at once, in two workers too', async () => {
    const { provider, signIn } = createFixture({ workers: 2 });
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => await signIn('right', i % 2)),
    );
    assert.ok(answers.every(({ principal }) => principal?.username === 'alice'));
    // One for each worker that has to know the person.
    assert.equal(provider.asked.length, 2);
  });

  test('that was changed meanwhile ends within a minute', async () => {
    const { clock, provider, signIn } = createFixture();
    await signIn('right');
    provider.script = knows('corp', 'alice', 'changed');
    clock.advance(59_000);
    assert.ok((await signIn('right')).principal !== undefined);
    clock.advance(2_000);
    assert.equal((await signIn('right')).principal, undefined);
  });
});

describe('a wrong password', () => {
  test('is refused again without a trial, and does not stand in the way of the right one', async () => {
    const { provider, signIn } = createFixture();
    for (let i = 0; i < 50; i++) assert.equal((await signIn('stale')).principal, undefined);
    assert.equal(provider.asked.length, 1);
    assert.equal((await signIn('right')).principal?.username, 'alice');
  });

  test('that is sent for a whole day, by four workers, never locks the account', async () => {
    const { clock, provider, chain, signIn } = createFixture({ workers: 4 });
    for (let minute = 0; minute < 1_440; minute++) {
      const answers = await Promise.all([0, 1, 2, 3].map(async (worker) => await signIn('stale', worker)));
      assert.ok(answers.every(({ principal }) => principal === undefined));
      if (minute % 60 === 0) {
        const outcome = await chain.authenticate(passwordCredential('alice', 'right'), request);
        assert.equal(outcome.kind, 'authenticated', `minute ${minute}`);
      }
      clock.advance(60_000);
    }
    const stale = provider.asked.length - 24;
    assert.ok(stale >= 100 && stale <= 200, `${stale} trials of the stale password in a day`);
  });

  test('that becomes the right one is let in when its refusal ends', async () => {
    const { clock, provider, signIn } = createFixture();
    await signIn('new');
    provider.script = knows('corp', 'alice', 'new');
    assert.equal((await signIn('new')).principal, undefined);
    clock.advance(60_001);
    assert.equal((await signIn('new')).principal?.username, 'alice');
  });

  test('is a guess like one in the form: different ones lock the account', async () => {
    const { signIn, chain } = createFixture();
    for (let i = 0; i < 5; i++) await signIn(`guess-${i}`);
    await assert.rejects(signIn('guess-6'), { code: 'THROTTLED' });
    await assert.rejects(chain.authenticate(passwordCredential('alice', 'right'), request), {
      code: 'THROTTLED',
    });
  });
});

test('an outage is thrown, not remembered', async () => {
  const { provider, signIn } = createFixture({
    script: async () => {
      throw new GatewayError('PROVIDER_UNAVAILABLE', 'away');
    },
  });
  await assert.rejects(signIn('right'), { code: 'PROVIDER_UNAVAILABLE' });
  provider.script = knows('corp', 'alice', 'right');
  assert.equal((await signIn('right')).principal?.username, 'alice');
});

test('a malformed field asks nobody', async () => {
  const { provider, workers } = createFixture();
  const answer = await (workers[0] as RequestSignIn).signIn(
    'Basic ===',
    () => readBasic('Basic ==='),
    request,
  );
  assert.equal(answer.principal, undefined);
  assert.deepEqual(provider.asked, []);
});

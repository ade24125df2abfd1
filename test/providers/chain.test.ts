/** Order, outages, throttling and the look of a refusal. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { toNameClaims } from '#src/identity/account-name.ts';
import { GroupTable } from '#src/identity/group.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { AccountRouting } from '#src/providers/account-routing.ts';
import {
  createSignInChain,
  refusalFloor,
  type SignInChain,
  type SignInChainOptions,
} from '#src/providers/chain.ts';
import { createLocalProvider } from '#src/providers/local/local-provider.ts';
import { createPasswordHash } from '#src/providers/password-hash.ts';
import type { Provider } from '#src/providers/provider.ts';
import { createThrottle } from '#src/providers/throttle.ts';
import { AttemptLedger } from '#src/state/attempt-ledger.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { passwordCredential } from '#test/contract/provider-contract.ts';
import { knows, type Script, ScriptedProvider } from '#test/providers/scripted-provider.ts';
import { createPrincipal } from '#test/session/fixture.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';

const request = { clientAddress: '192.0.2.7', requestId: 'r-1' };
const away: Script = async () => {
  throw new GatewayError('PROVIDER_UNAVAILABLE', 'the directory is away', { retryAfterSeconds: 5 });
};

interface Fixture {
  readonly chain: SignInChain;
  readonly log: LogLines;
  readonly metrics: Metrics;
}

function createFixture(providers: readonly Provider[], changes: Partial<SignInChainOptions> = {}): Fixture {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const log = collectLog();
  const throttle = createThrottle({ counters: new AttemptLedger(clock, contractLimits), metrics });
  const chain = createSignInChain({
    providers,
    throttle,
    clock,
    logger: log.logger,
    metrics,
    refusalFloor: { minMs: 0, maxMs: 0 },
    ...changes,
  });
  return { chain, log, metrics };
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof GatewayError && error.code === code;
}

describe('providers in order', () => {
  test('the next one is asked about an account the first does not know', async () => {
    const corp = new ScriptedProvider('corp', knows('corp', 'alice', 'a'));
    const staff = new ScriptedProvider('staff', knows('staff', 'bob', 'b'));
    const { chain } = createFixture([corp, staff]);
    const outcome = await chain.authenticate(passwordCredential('bob', 'b'), request);
    assert.equal(outcome.kind, 'authenticated');
    assert.equal(outcome.principal.provider, 'staff');
  });

  test('the next one is not asked about a password the first found wrong', async () => {
    const corp = new ScriptedProvider('corp', knows('corp', 'alice', 'a'));
    const staff = new ScriptedProvider('staff', knows('staff', 'alice', 'b'));
    const { chain } = createFixture([corp, staff]);
    const outcome = await chain.authenticate(passwordCredential('alice', 'b'), request);
    assert.deepEqual(outcome, { kind: 'rejected', reason: 'wrong-password' });
    assert.deepEqual(staff.asked, []);
  });

  test('one that was chosen is asked alone', async () => {
    const corp = new ScriptedProvider('corp', knows('corp', 'alice', 'a'));
    const staff = new ScriptedProvider('staff', knows('staff', 'alice', 'b'));
    const { chain } = createFixture([corp, staff]);
    const outcome = await chain.authenticate(passwordCredential('alice', 'b', 'staff'), request);
    assert.equal(outcome.kind, 'authenticated');
    assert.deepEqual(corp.asked, []);
  });

  test('a chosen one that is not configured is a refusal like any other', async () => {
    const corp = new ScriptedProvider('corp', knows('corp', 'alice', 'a'));
    const { chain, metrics } = createFixture([corp]);
    const outcome = await chain.authenticate(passwordCredential('alice', 'a', 'x'.repeat(99)), request);
    assert.equal(outcome.kind, 'rejected');
    assert.deepEqual(corp.asked, []);
    assert.equal((await metrics.expose()).body.includes('xxx'), false);
  });

  test('a provider that was taken out of the configuration ends the sessions of its people', async () => {
    const { chain } = createFixture([new ScriptedProvider('corp', away)]);
    const signal = AbortSignal.timeout(1_000);
    assert.deepEqual(await chain.refresh(createPrincipal({ provider: 'gone' }), signal), {
      kind: 'ended',
      reason: 'sign-in-not-permitted',
    });
    assert.equal((await chain.refresh(createPrincipal({ provider: 'corp' }), signal)).kind, 'current');
  });
});

describe('a name that says where it belongs', () => {
  const routing = new AccountRouting(
    new Map([
      ['corp', toNameClaims({ suffixes: ['corp.test', 'shared.test'], domains: ['CORP'] })],
      ['staff', toNameClaims({ suffixes: ['staff.test', 'shared.test'] })],
    ]),
  );
  const rows: readonly {
    readonly typed: string;
    readonly chosen?: string;
    readonly asked: readonly string[];
  }[] = [
    { typed: 'alice', asked: ['corp', 'staff', 'local'] },
    { typed: 'alice', chosen: 'staff', asked: ['staff'] },
    { typed: 'alice@corp.test', asked: ['corp'] },
    { typed: 'alice@STAFF.test', asked: ['staff'] },
    { typed: 'alice@staff.test', chosen: 'staff', asked: ['staff'] },
    { typed: 'alice@staff.test', chosen: 'corp', asked: ['staff'] },
    { typed: 'alice@staff.test', chosen: 'local', asked: ['staff'] },
    { typed: 'alice@staff.test', chosen: 'nothing', asked: [] },
    { typed: 'CORP＼alice', chosen: 'local', asked: ['corp'] },
    { typed: 'alice@shared.test', asked: ['corp', 'staff'] },
    { typed: 'alice@shared.test', chosen: 'staff', asked: ['staff'] },
    { typed: 'alice@shared.test', chosen: 'local', asked: ['corp', 'staff'] },
    { typed: 'alice@elsewhere.test', asked: ['corp', 'staff', 'local'] },
    { typed: 'alice@elsewhere.test', chosen: 'local', asked: ['local'] },
    { typed: 'STAFF\\alice', asked: ['corp', 'staff', 'local'] },
  ];
  for (const { typed, chosen, asked } of rows) {
    test(`${typed}${chosen === undefined ? '' : ` with ${chosen} chosen`} is asked of ${asked.join(', ') || 'nobody'}`, async () => {
      const order: string[] = [];
      const providers = ['corp', 'staff', 'local'].map(
        (name) =>
          new ScriptedProvider(name, async (credential) => {
            order.push(name);
            assert.equal(credential.provider, chosen === undefined ? undefined : name);
            assert.equal(credential.username, typed);
            return { kind: 'rejected', reason: 'unknown-account' };
          }),
      );
      const { chain } = createFixture(providers, { routing });
      await chain.authenticate(passwordCredential(typed, 'x', chosen), request);
      assert.deepEqual(order, asked);
    });
  }

  test('has one budget in every spelling, also where nobody has the account', async () => {
    const corp = new ScriptedProvider('corp', knows('corp', 'alice', 'a'));
    const { chain } = createFixture([corp], { routing });
    for (const spelling of ['nobody@corp.test', 'CORP\\nobody', 'ＮＯＢＯＤＹ@corp.test']) {
      assert.equal((await chain.authenticate(passwordCredential(spelling, 'x'), request)).kind, 'rejected');
    }
    for (const spelling of ['nobody', 'corp\\Nobody']) {
      const signingIn = chain.authenticate(passwordCredential(spelling, 'x'), request);
      await assert.rejects(signingIn, hasCode('THROTTLED'));
    }
  });

  test('a name tried in order counts at everybody who was asked, and a success only where it was one', async () => {
    const corp = new ScriptedProvider('corp', knows('corp', 'bob', 'b'));
    const staff = new ScriptedProvider('staff', knows('staff', 'alice', 'a'));
    const { chain } = createFixture([corp, staff]);
    const attempt = async (password: string, chosen?: string) =>
      await chain.authenticate(passwordCredential('alice', password, chosen), request);
    for (let i = 0; i < 2; i++) assert.equal((await attempt('wrong')).kind, 'rejected');
    assert.equal((await attempt('a', 'staff')).kind, 'authenticated');
    assert.equal((await attempt('wrong', 'corp')).kind, 'rejected');
    await assert.rejects(attempt('wrong', 'corp'), hasCode('THROTTLED'));
    assert.equal((await attempt('a', 'staff')).kind, 'authenticated');
  });
});

describe('a provider that is away', () => {
  const cases = [
    {
      name: 'does not keep others from accepting',
      second: knows('staff', 'alice', 'a'),
      expect: 'authenticated',
    },
    { name: 'is never a wrong password', second: knows('staff', 'alice', 'b'), expect: 'outage' },
    { name: 'is never an unknown account', second: knows('staff', 'bob', 'b'), expect: 'outage' },
    {
      name: 'counts also when it comes last',
      second: away,
      first: knows('corp', 'bob', 'b'),
      expect: 'outage',
    },
  ];
  for (const { name, first = away, second, expect } of cases) {
    test(name, async () => {
      const providers = [new ScriptedProvider('corp', first), new ScriptedProvider('staff', second)];
      const signingIn = createFixture(providers).chain.authenticate(
        passwordCredential('alice', 'a'),
        request,
      );
      if (expect === 'outage') await assert.rejects(signingIn, hasCode('PROVIDER_UNAVAILABLE'));
      else assert.equal((await signingIn).kind, expect);
    });
  }

  test('costs people nothing', async () => {
    const corp = new ScriptedProvider('corp', away);
    const { chain } = createFixture([corp]);
    for (let i = 0; i < 10; i++) {
      const signingIn = chain.authenticate(passwordCredential('alice', 'a'), request);
      await assert.rejects(signingIn, hasCode('PROVIDER_UNAVAILABLE'));
    }
    corp.script = knows('corp', 'alice', 'a');
    assert.equal((await chain.authenticate(passwordCredential('alice', 'a'), request)).kind, 'authenticated');
  });

  test('does not make guessing at another one free', async () => {
    const providers = [
      new ScriptedProvider('corp', away),
      new ScriptedProvider('staff', knows('staff', 'alice', 'secret')),
    ];
    const { chain } = createFixture(providers);
    for (let i = 0; i < 3; i++) {
      const guess = chain.authenticate(passwordCredential('alice', `guess-${i}`), request);
      await assert.rejects(guess, hasCode('PROVIDER_UNAVAILABLE'));
    }
    const next = chain.authenticate(passwordCredential('alice', 'secret'), request);
    await assert.rejects(next, hasCode('THROTTLED'));
  });

  test('is given up at the deadline of the whole sign-in', async () => {
    const hung = new ScriptedProvider('corp', async () => await new Promise(() => {}));
    const next = new ScriptedProvider('staff', knows('staff', 'alice', 'a'));
    const { chain } = createFixture([hung, next], { deadlineMs: 100 });
    const startedAt = performance.now();
    const signingIn = chain.authenticate(passwordCredential('alice', 'a'), request);
    await assert.rejects(signingIn, hasCode('PROVIDER_UNAVAILABLE'));
    assert.ok(performance.now() - startedAt < 1_000);
    assert.deepEqual(next.asked, []);
  });

  test('and a client that hangs up early pays for its guess', async () => {
    const hung = new ScriptedProvider('corp', async () => await new Promise(() => {}));
    const { chain } = createFixture([hung]);
    for (let i = 0; i < 3; i++) {
      const signal = AbortSignal.timeout(10);
      const guess = chain.authenticate(passwordCredential('alice', `guess-${i}`), { ...request, signal });
      await assert.rejects(guess, hasCode('PROVIDER_UNAVAILABLE'));
    }
    await assert.rejects(chain.authenticate(passwordCredential('alice', 'a'), request), hasCode('THROTTLED'));
  });
});

describe('malformed input', () => {
  const cases = [
    { name: 'an empty password', username: 'alice', password: '' },
    { name: 'an empty name', username: '', password: 'a' },
    { name: 'a blank name', username: '  ', password: 'a' },
    { name: 'a name of 257 bytes', username: 'a'.repeat(257), password: 'a' },
    {
      name: 'a name of 256 bytes in 128 letters and one more',
      username: `${'é'.repeat(128)}a`,
      password: 'a',
    },
    { name: 'a password of 1025 bytes', username: 'alice', password: 'a'.repeat(1_025) },
    { name: 'NUL in the name', username: 'alice\0', password: 'a' },
    { name: 'NUL in the password', username: 'alice', password: 'a\0b' },
    { name: 'a line break in the name', username: 'alice\nadmin', password: 'a' },
    { name: 'half a surrogate pair', username: 'alice\ud800', password: 'a' },
  ];
  for (const { name, username, password } of cases) {
    test(`${name} is refused and sent nowhere`, async () => {
      const corp = new ScriptedProvider('corp', async () => ({
        kind: 'authenticated',
        principal: createPrincipal(),
      }));
      const { chain, log } = createFixture([corp]);
      const outcome = await chain.authenticate(passwordCredential(username, password), request);
      assert.deepEqual(outcome, { kind: 'rejected', reason: 'credentials-malformed' });
      assert.deepEqual(corp.asked, []);
      assert.equal(log.of('sign-in.refused')[0]?.['reason'], 'credentials-malformed');
    });
  }

  test('of the longest allowed length passes', async () => {
    const [username, password] = ['é'.repeat(128), 'x'.repeat(1_024)];
    const corp = new ScriptedProvider('corp', knows('corp', username, password));
    const outcome = await createFixture([corp]).chain.authenticate(
      passwordCredential(username, password),
      request,
    );
    assert.equal(outcome.kind, 'authenticated');
  });

  test('counts as a failure', async () => {
    const { chain } = createFixture([new ScriptedProvider('corp', knows('corp', 'alice', 'a'))]);
    for (let i = 0; i < 3; i++) await chain.authenticate(passwordCredential('alice', ''), request);
    await assert.rejects(chain.authenticate(passwordCredential('alice', 'a'), request), hasCode('THROTTLED'));
  });
});

describe('the trail of a sign-in', () => {
  test('names account, provider, reason and address, and never the password', async () => {
    const { chain, log, metrics } = createFixture([
      new ScriptedProvider('corp', knows('corp', 'alice', 'right-secret')),
    ]);
    await chain.authenticate(passwordCredential('alice', 'wrong-secret'), request);
    await chain.authenticate(passwordCredential('alice', 'right-secret'), request);
    const trail = { account: 'alice', provider: 'corp', clientAddress: '192.0.2.7', requestId: 'r-1' };
    const [refused] = log.of('sign-in.refused');
    const [accepted] = log.of('sign-in.accepted');
    assert.partialDeepStrictEqual(refused, { ...trail, audit: true, reason: 'wrong-password' });
    assert.partialDeepStrictEqual(accepted, { ...trail, audit: true, subject: 'alice' });
    assert.equal(JSON.stringify(log.lines).includes('secret'), false);
    const { body } = await metrics.expose();
    for (const labels of [
      'provider="corp",outcome="authenticated",reason="none"',
      'provider="corp",outcome="rejected",reason="wrong-password"',
    ]) {
      assert.ok(body.includes(`vratar_authentications_total{${labels}} 1`), labels);
      assert.ok(body.includes(`vratar_authentication_duration_seconds_count{${labels}} 1`), labels);
    }
  });

  test('cuts and escapes what was typed as a name', async () => {
    const { chain, log } = createFixture([new ScriptedProvider('corp', knows('corp', 'alice', 'a'))]);
    await chain.authenticate(passwordCredential(`a\r\n\u0085${'b'.repeat(5_000)}`, 'x'), request);
    const account = String(log.of('sign-in.refused')[0]?.['account']);
    assert.ok(account.startsWith('a\\x0d\\x0a\\x85b'));
    assert.ok(account.length <= 90);
  });

  test('tells outages and throttling apart', async () => {
    const corp = new ScriptedProvider('corp', away);
    const { chain, log, metrics } = createFixture([corp]);
    await assert.rejects(chain.authenticate(passwordCredential('alice', 'a'), request));
    corp.script = knows('corp', 'alice', 'a');
    for (let i = 0; i < 3; i++) await chain.authenticate(passwordCredential('alice', 'x'), request);
    await assert.rejects(chain.authenticate(passwordCredential('alice', 'a'), request));
    const reasons = log.of('sign-in.refused').map((line) => line['reason']);
    assert.deepEqual(reasons, [
      'provider-unavailable',
      'wrong-password',
      'wrong-password',
      'wrong-password',
      'throttled',
    ]);
    const { body } = await metrics.expose();
    assert.match(
      body,
      /authentications_total\{provider="corp",outcome="error",reason="provider-unavailable"\} 1/,
    );
    assert.match(body, /authentications_total\{provider="any",outcome="throttled",reason="throttled"\} 1/);
  });
});

describe('a refusal', () => {
  test('takes the same time for an unknown account and a wrong password', { timeout: 60_000 }, async () => {
    const rounds = 8;
    const hash = await createPasswordHash('right');
    const staff = createLocalProvider(
      {
        name: 'staff',
        type: 'local',
        title: undefined,
        users: Array.from({ length: rounds }, (_, i) => ({
          username: `known-${i}`,
          passwordHash: hash,
          groups: [],
        })),
      },
      { groupTable: new GroupTable(), generatedHashes: new Map() },
    );
    const { chain } = createFixture([staff], { refusalFloor });
    const timeOf = async (username: string, i: number): Promise<number> => {
      const startedAt = performance.now();
      const outcome = await chain.authenticate(passwordCredential(username, 'wrong'), {
        clientAddress: `198.51.100.${i}`,
      });
      assert.equal(outcome.kind, 'rejected');
      return performance.now() - startedAt;
    };
    const times = { known: [] as number[], unknown: [] as number[] };
    for (let i = 0; i < rounds; i += 2) {
      const [a, b, c, d] = await Promise.all([
        timeOf(`known-${i}`, i),
        timeOf(`unknown-${i}`, i),
        timeOf(`unknown-${i + 1}`, i + 1),
        timeOf(`known-${i + 1}`, i + 1),
      ]);
      times.known.push(a, d);
      times.unknown.push(b, c);
    }
    for (const ms of [...times.known, ...times.unknown]) assert.ok(ms >= refusalFloor.minMs - 2, `${ms} ms`);
    const mean = (list: number[]): number => list.reduce((sum, ms) => sum + ms, 0) / list.length;
    assert.ok(Math.abs(mean(times.known) - mean(times.unknown)) < 120, JSON.stringify(times));
  });
});

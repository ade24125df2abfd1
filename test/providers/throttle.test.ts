/** Budgets of failures per account and address, over the real counters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { Metrics } from '#src/observability/metrics.ts';
import {
  accountKey,
  addressKey,
  createThrottle,
  type Throttle,
  type ThrottledAccount,
} from '#src/providers/throttle.ts';
import { AttemptLedger } from '#src/state/attempt-ledger.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { ManualClock } from '#test/support/clock.ts';

const never = new AbortController().signal;
const here = '192.0.2.7';

function createFixture(): { throttle: Throttle; metrics: Metrics; clock: ManualClock } {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const throttle = createThrottle({ counters: new AttemptLedger(clock, contractLimits), metrics });
  return { throttle, metrics, clock };
}

const corp = (account: string): ThrottledAccount => ({ provider: 'corp', account });

async function failAs(
  throttle: Throttle,
  account: string,
  address = here,
  canonical?: string,
): Promise<void> {
  const attempt = await throttle.begin(corp(account), address, never);
  if (canonical !== undefined) await attempt.admit(corp(canonical));
  await attempt.failed();
}

function isThrottled(retryAfterSeconds: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GatewayError);
    assert.equal(error.code, 'THROTTLED');
    assert.equal(error.retryAfterSeconds, retryAfterSeconds);
    return true;
  };
}

describe('the throttle', () => {
  test('refuses an account after the allowed failures, and says when to come back', async () => {
    const { throttle, metrics, clock } = createFixture();
    for (let i = 0; i < 3; i++) await failAs(throttle, 'alice');
    await assert.rejects(throttle.begin(corp('alice'), here, never), isThrottled(200));
    clock.advance(150_500);
    await assert.rejects(throttle.begin(corp('alice'), '198.51.100.9', never), isThrottled(50));
    clock.advance(50_000);
    await failAs(throttle, 'alice');
    const { body } = await metrics.expose();
    assert.match(body, /vratar_throttled_total\{scope="account"\} 2/);
  });

  test('counts every spelling of a name as the same account', async () => {
    const { throttle } = createFixture();
    for (const spelling of ['Alice', ' alice ', '\uff41lice']) await failAs(throttle, spelling);
    await assert.rejects(throttle.begin(corp('ALICE'), here, never), isThrottled(200));
  });

  test('counts different typed names of one account together', async () => {
    const { throttle } = createFixture();
    for (const typed of ['alice@example.com', 'CORP\\alice', 'alice']) {
      await failAs(throttle, typed, here, 'alice');
    }
    const attempt = await throttle.begin(corp('alice@corp.example.com'), here, never);
    await assert.rejects(attempt.admit(corp('alice')), isThrottled(200));
  });

  test('counts an attempt once when the typed name is the canonical one', async () => {
    const { throttle } = createFixture();
    for (let i = 0; i < 2; i++) await failAs(throttle, 'alice', here, 'Alice');
    const third = await throttle.begin(corp('alice'), here, never);
    await third.admit(corp('ALICE'));
    await third.released();
  });

  test('refuses an address that tries many accounts', async () => {
    const { throttle } = createFixture();
    for (let i = 0; i < 6; i++) await failAs(throttle, `account-${i}`);
    await assert.rejects(throttle.begin(corp('somebody-else'), here, never), isThrottled(100));
    await failAs(throttle, 'somebody-else', '198.51.100.9');
  });

  test('forgets the failures of an account after a success, not those of the address', async () => {
    const { throttle } = createFixture();
    for (let i = 0; i < 5; i++) {
      await failAs(throttle, 'alice');
      const attempt = await throttle.begin(corp('alice'), here, never);
      await attempt.admit(corp('alice'));
      await attempt.succeeded('corp');
    }
    await failAs(throttle, 'bob');
    await assert.rejects(throttle.begin(corp('alice'), here, never), isThrottled(100));
    await (await throttle.begin(corp('alice'), '198.51.100.9', never)).succeeded('corp');
  });

  test('does not count attempts that an outage cut short', async () => {
    const { throttle } = createFixture();
    for (let i = 0; i < 20; i++) {
      const attempt = await throttle.begin(corp('alice@example.com'), here, never);
      await attempt.admit(corp('alice'));
      await attempt.released();
    }
    for (let i = 0; i < 3; i++) await failAs(throttle, 'alice');
  });

  test('lets a crowd from one address in, one after the other', async () => {
    const { throttle } = createFixture();
    const crowd = Array.from({ length: 60 }, async (_, i) => {
      const attempt = await throttle.begin(corp(`person-${i}`), here, never);
      await new Promise((resolve) => setImmediate(resolve));
      await attempt.succeeded('corp');
    });
    await Promise.all(crowd);
  });

  test('keeps the budgets of two people of one name apart, and lets neither clear that of the other', async () => {
    const { throttle } = createFixture();
    const staff = { provider: 'staff', account: 'alice' };
    for (let i = 0; i < 2; i++) await failAs(throttle, 'alice');
    const namesake = await throttle.begin(corp('alice'), here, never);
    await namesake.admit(staff);
    await namesake.succeeded('staff');
    await failAs(throttle, 'alice');
    await assert.rejects(throttle.begin(corp('alice'), here, never), isThrottled(200));
    await (await throttle.begin(staff, here, never)).released();
  });

  test('never shows the counters a typed name', () => {
    assert.equal(accountKey('corp', 'correct horse battery staple').includes('horse'), false);
    assert.equal(accountKey('corp', 'x'.repeat(100_000)).length, 43);
  });

  test('says that it cannot tell when the counters cannot be reached', async () => {
    const away = new GatewayError('SESSION_STORE_UNAVAILABLE', 'away');
    const fail = async (): Promise<never> => await Promise.reject(away);
    const counters = { reserve: fail, fail, release: fail, clear: fail };
    const throttle = createThrottle({ counters, metrics: new Metrics() });
    await assert.rejects(throttle.begin(corp('alice'), here, never), away);
  });
});

describe('the key of an address', () => {
  const keys = [
    { case: 'IPv4 as it is', address: '192.0.2.7', key: '192.0.2.7' },
    { case: 'IPv4 mapped into IPv6', address: '::ffff:192.0.2.7', key: '192.0.2.7' },
    { case: 'IPv4 mapped into IPv6, in hexadecimal', address: '::FFFF:c000:0207', key: '192.0.2.7' },
    { case: 'IPv6 by its /64', address: '2001:db8:1:2:3:4:5:6', key: '2001:db8:1:2::/64' },
    { case: 'IPv6, shortened', address: '2001:DB8:1:2::1', key: '2001:db8:1:2::/64' },
    { case: 'IPv6, shortened early', address: '2001:db8::5:6:7', key: '2001:db8:0:0::/64' },
    { case: 'IPv6 with a zone', address: 'fe80::1%eth0', key: 'fe80:0:0:0::/64' },
    { case: 'the loopback', address: '::1', key: '0:0:0:0::/64' },
    { case: 'IPv6 with a dotted end', address: '64:ff9b::192.0.2.7', key: '64:ff9b:0:0::/64' },
    { case: 'what is no address', address: 'unknown', key: 'unknown' },
  ];
  for (const { case: what, address, key } of keys) {
    test(`is ${what}`, () => assert.equal(addressKey(address), key));
  }
});

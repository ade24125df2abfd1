import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GatewayError } from '#src/errors.ts';
import { preauthMac, preauthTarget, type SignedValues, Timestamps } from '#src/preauth/mint.ts';
import { accountKinds, isSignable } from '#src/preauth/signed-value.ts';
import { guideKey, impossible, vectors } from './vectors.ts';

const keyOf = (text: string) => createSecretKey(Buffer.from(text, 'ascii'));
const key = keyOf(guideKey);

const values: SignedValues = {
  account: 'manager@company.ru',
  by: 'name',
  expires: 0,
  timestamp: 1_579_862_639_000,
  isAdmin: false,
};

describe('the signature', () => {
  for (const { name, key: digits, admin, mac, ...rest } of vectors) {
    test(`comes out bit by bit: ${name}`, () => {
      assert.equal(preauthMac({ ...rest, isAdmin: admin }, keyOf(digits)), mac);
    });
  }

  for (const { account, admin, mac } of impossible) {
    test(`is never what the guide prints for ${account}, in seconds or milliseconds, with any order of fields`, () => {
      for (const timestamp of [1_579_862_639, 1_579_862_639_000]) {
        for (const isAdmin of [admin, !admin]) {
          for (const by of accountKinds) {
            assert.notEqual(preauthMac({ account, by, expires: 0, timestamp, isAdmin }, key), mac);
          }
        }
      }
    });
  }

  const unsignable: readonly (readonly [string, Partial<SignedValues>])[] = [
    ['a bar in the account', { account: 'a@company.ru|1' }],
    ['an empty account', { account: '' }],
    ['a line end', { account: 'a@company.ru\n' }],
    ['a control character', { account: 'a\u0007@company.ru' }],
    ['a character that turns the writing direction', { account: 'a\u202e@company.ru' }],
    ['half a character', { account: 'a\ud800@company.ru' }],
    ['a blank at the edge', { account: ' a@company.ru' }],
    ['an account longer than Zimbra knows', { account: 'a'.repeat(255) }],
    ['a negative expiry', { expires: -1 }],
    ['an expiry that is no number', { expires: Number.NaN }],
    ['half a millisecond', { timestamp: 1.5 }],
    ['no time', { timestamp: 0 }],
  ];
  for (const [name, change] of unsignable) {
    test(`is refused for ${name}`, () => {
      assert.throws(() => preauthMac({ ...values, ...change }, key), RangeError);
    });
  }

  test('says different things by different messages: no two sets of values share a signature', () => {
    const set = fc.record({
      account: fc.oneof(
        fc.string({ unit: fc.constantFrom('a', '|', '1', '0', '@', '.', ' ', '\n', 'é'), maxLength: 8 }),
        fc.string(),
      ),
      by: fc.constantFrom(...accountKinds),
      expires: fc.nat(),
      timestamp: fc.integer({ min: 1, max: 2 ** 52 }),
      isAdmin: fc.boolean(),
    });
    fc.assert(
      fc.property(set, set, (one, other) => {
        fc.pre(isSignable(one.account) && isSignable(other.account));
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        assert.equal(preauthMac(one, key) === preauthMac(other, key), isSame);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the link', () => {
  test('carries the account percent-encoded, and reads back as it was signed', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 60 }).filter((text) => isSignable(text)),
        fc.boolean(),
        (account, isAdmin) => {
          const target = preauthTarget({ ...values, account, isAdmin }, 'f'.repeat(40), '&app=mail');
          assert.match(target, /^[\x21-\x7e]+$/);
          const { pathname, searchParams } = new URL(target, 'https://mail.example.com');
          assert.equal(pathname, '/service/preauth');
          assert.deepEqual(Object.fromEntries(searchParams), {
            account,
            by: 'name',
            timestamp: '1579862639000',
            expires: '0',
            ...(isAdmin ? { admin: '1' } : {}),
            app: 'mail',
            preauth: 'f'.repeat(40),
          });
        },
      ),
    );
  });
});

describe('timestamps', () => {
  test('of one account never repeat, and those of others stay at the present', () => {
    const timestamps = new Timestamps();
    const nowMs = 1_800_000_000_000;
    const hundred = Array.from({ length: 100 }, () => timestamps.next('a@x', nowMs));
    assert.equal(new Set(hundred).size, 100);
    assert.equal(hundred[0], nowMs);
    assert.equal(timestamps.next('b@x', nowMs), nowMs);
    assert.equal(timestamps.next('a@x', nowMs + 50), nowMs + 100);
    assert.equal(timestamps.next('a@x', nowMs + 500), nowMs + 500);
  });

  test('run ahead by a second at most: more links than that no person opens', () => {
    const timestamps = new Timestamps();
    const nowMs = 1_800_000_000_000;
    const mint = (): void => {
      for (let i = 0; i < 1_002; i++) timestamps.next('a@x', nowMs);
    };
    assert.throws(mint, (error) => error instanceof GatewayError && error.code === 'THROTTLED');
    assert.equal(timestamps.next('b@x', nowMs), nowMs);
    assert.equal(timestamps.next('a@x', nowMs + 2_000), nowMs + 2_000);
  });

  test('follow a clock that is set back', () => {
    const timestamps = new Timestamps();
    timestamps.next('a@x', 1_800_000_000_000);
    assert.equal(timestamps.next('a@x', 1_799_990_000_000), 1_799_990_000_000);
  });
});

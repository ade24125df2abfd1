import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AccountRules, isSignable, readAccount } from '#src/preauth/signed-value.ts';

const domains = new Set(['example.com', 'xn--80ak6aa92e.com']);
const rules = (by: AccountRules['by'], domain?: string): AccountRules => ({
  by,
  domain,
  hasDomain: (name) => domains.has(name),
});

const names: readonly (readonly [account: string, expected: string])[] = [
  ['alice@example.com', 'example.com'],
  ['Alice.O+filter&co@Example.COM', 'example.com'],
  ["o'neill@example.com", 'example.com'],
  ['', 'account-missing'],
  ['alice', 'account-malformed'],
  ['@example.com', 'account-malformed'],
  ['alice@', 'domain-unknown'],
  ['alice@evil.test', 'domain-unknown'],
  ['alice@sub.example.com', 'domain-unknown'],
  ['alice@example.com.evil.test', 'domain-unknown'],
  ['alice@example.com@evil.test', 'domain-unknown'],
  ['alice@evil.test@example.com', 'domain-unknown'],
  ['alice@evil.test|name|0|1@example.com', 'account-malformed'],
  ['alice@example.com|1', 'account-malformed'],
  ['alice@example.com\n', 'account-malformed'],
  ['alice@example.com ', 'account-malformed'],
  ['al ice@example.com', 'account-malformed'],
  ['al..ice@example.com', 'account-malformed'],
  ['.alice@example.com', 'account-malformed'],
  ['"alice"@example.com', 'account-malformed'],
  ['alice,bob@example.com', 'account-malformed'],
  ['<alice@example.com>', 'account-malformed'],
  ['al\u0000ice@example.com', 'account-malformed'],
  ['al\u200bice@example.com', 'account-malformed'],
  ['josé@example.com', 'account-not-ascii'],
  ['аlice@example.com', 'account-not-ascii'],
  [`${'a'.repeat(250)}@example.com`, 'account-malformed'],
];

describe('by name', () => {
  for (const [account, expected] of names) {
    test(`${JSON.stringify(account.slice(0, 50))} is ${expected}`, () => {
      const read = readAccount(account, rules('name'));
      assert.deepEqual(read, expected.includes('.') ? { account, domain: expected } : expected);
    });
  }
});

const id = '0eb1d29f-2c5b-4ba2-9e7a-91bd4b4bd6e4';
const others: readonly (readonly [
  by: AccountRules['by'],
  account: string,
  domain: string | undefined,
  expected: string,
])[] = [
  ['id', id, 'example.com', 'example.com'],
  ['id', id, 'Example.com', 'example.com'],
  ['id', id, undefined, 'domain-unknown'],
  ['id', id, 'evil.test', 'domain-unknown'],
  ['id', id.toUpperCase(), 'example.com', 'account-malformed'],
  ['id', 'alice@example.com', 'example.com', 'account-malformed'],
  ['foreignPrincipal', 'kerberos5:alice@EXAMPLE.COM', 'example.com', 'example.com'],
  ['foreignPrincipal', 'josé', 'example.com', 'example.com'],
  ['foreignPrincipal', 'alice|1', 'example.com', 'account-malformed'],
  ['foreignPrincipal', 'ali\u0009ce', 'example.com', 'account-malformed'],
  ['foreignPrincipal', '', 'example.com', 'account-missing'],
];

describe('by id and foreignPrincipal, with the domain told', () => {
  for (const [by, account, domain, expected] of others) {
    test(`${by} ${JSON.stringify(account)} of ${domain ?? 'no domain'} is ${expected}`, () => {
      const read = readAccount(account, rules(by, domain));
      assert.deepEqual(read, expected.includes('.') ? { account, domain: expected } : expected);
    });
  }
});

test('whatever is read by name has one @, ends in a listed domain, and could not be two values', () => {
  const hostile = fc.string({
    unit: fc.oneof(
      fc.constantFrom('a', '|', '@', '.', '-', ' ', '\n', '\u0000', '\u202e', 'é', '%', '+'),
      fc.string(),
    ),
    maxLength: 20,
  });
  const candidate = fc.oneof(
    hostile,
    fc
      .tuple(hostile, fc.constantFrom('example.com', 'EXAMPLE.com', 'evil.test'))
      .map(([a, b]) => `${a}@${b}`),
  );
  fc.assert(
    fc.property(candidate, (text) => {
      const read = readAccount(text, rules('name'));
      if (typeof read === 'string') return;
      assert.equal(read.account, text);
      assert.equal(text.split('@').length, 2);
      assert.ok(domains.has(read.domain));
      assert.match(text, /^[\x21-\x7b\x7d\x7e]+$/);
    }),
    { numRuns: 5_000 },
  );
});

test('text that can stand between two bars has no bar and nothing invisible', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      if (isSignable(text)) assert.doesNotMatch(text, /[|\p{Cc}\p{Cf}\p{Cs}]/u);
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  foldAccount,
  foldSuffix,
  isClaimed,
  maxAccountBytes,
  parseAccountName,
  toNameClaims,
} from '#src/identity/account-name.ts';

/** The parts as `name|@suffix` or `domain\|name`; `undefined`: no account name. */
const rows: readonly { readonly typed: string; readonly expect: string | undefined }[] = [
  { typed: 'alice', expect: 'alice' },
  { typed: ' Alice\u00a0', expect: 'Alice' },
  { typed: 'ａｌｉｃｅ', expect: 'alice' },
  { typed: 'zoe\u0308', expect: 'zoë' },
  { typed: 'al\u00adi\u200bce\ufeff', expect: 'alice' },
  { typed: '\u202eecila', expect: 'ecila' },
  { typed: 'anna maria', expect: 'anna maria' },
  { typed: 'alice.', expect: 'alice.' },
  { typed: 'paren(s)*\\', expect: 'paren(s)*\\' },
  { typed: '\\2a', expect: '\\2a' },
  { typed: 'CORP\\alice', expect: 'corp\\|alice' },
  { typed: 'CORP＼alice', expect: 'corp\\|alice' },
  { typed: 'CORP﹨alice', expect: 'corp\\|alice' },
  { typed: 'Corp.Test\\Анна', expect: 'corp.test\\|Анна' },
  { typed: 'СФЕРА\\anna', expect: 'сфера\\|anna' },
  { typed: 'alice@Corp.Test', expect: 'alice|@corp.test' },
  { typed: 'alice＠corp．test', expect: 'alice|@corp.test' },
  { typed: 'alice﹫corp.test', expect: 'alice|@corp.test' },
  { typed: 'alice@cor\u200bp.test ', expect: 'alice|@corp.test' },
  { typed: 'anna@пример.рф', expect: 'anna|@xn--e1afmkfd.xn--p1ai' },
  { typed: 'anna@XN--E1AFMKFD.xn--p1ai', expect: 'anna|@xn--e1afmkfd.xn--p1ai' },
  { typed: "o'hara+x@corp", expect: "o'hara+x|@corp" },
  // Two readers would split these differently, or find a part missing.
  { typed: 'alice@corp.test@other.test', expect: undefined },
  { typed: 'alice@corp＠other', expect: undefined },
  { typed: '@corp.test', expect: undefined },
  { typed: 'alice@', expect: undefined },
  { typed: 'alice @corp.test', expect: undefined },
  { typed: 'alice@ corp.test', expect: undefined },
  { typed: 'alice@corp.test.', expect: undefined },
  { typed: 'alice@.corp.test', expect: undefined },
  { typed: 'alice@corp..test', expect: undefined },
  { typed: 'alice@corp.test)(uid=*', expect: undefined },
  { typed: 'CORP\\', expect: undefined },
  { typed: 'CORP\\ alice', expect: undefined },
  { typed: 'CORP\\\\alice', expect: undefined },
  { typed: 'CORP\\OTHER\\alice', expect: undefined },
  { typed: 'CORP\\alice@other.test', expect: undefined },
  // Limits and characters.
  { typed: 'x'.repeat(256), expect: 'x'.repeat(256) },
  { typed: 'x'.repeat(257), expect: undefined },
  { typed: 'я'.repeat(128), expect: 'я'.repeat(128) },
  { typed: 'я'.repeat(129), expect: undefined },
  // One character of three bytes that normalises to eighteen letters.
  { typed: '\ufdfa'.repeat(80), expect: undefined },
  { typed: '', expect: undefined },
  { typed: '\u3000', expect: undefined },
  { typed: '\u200b', expect: undefined },
  { typed: 'a\tb', expect: undefined },
  { typed: 'a\u007f', expect: undefined },
  { typed: 'a\u0085', expect: undefined },
  { typed: '\udc00', expect: undefined },
];

function shown(typed: string): string | undefined {
  const account = parseAccountName(typed);
  switch (account?.kind) {
    case undefined:
      return undefined;
    case 'plain':
      return account.text;
    case 'suffixed':
      return `${account.name}|@${account.suffix}`;
    case 'qualified':
      return `${account.domain}\\|${account.name}`;
  }
}

for (const { typed, expect } of rows) {
  test(`${JSON.stringify(typed.slice(0, 30))} (${typed.length}) is ${expect === undefined ? 'no name' : 'read'}`, () => {
    assert.equal(shown(typed), expect);
  });
}

/** Anything, with what has a meaning often enough to meet. */
const anything = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom(
        '@',
        '\\',
        '.',
        ' ',
        '＠',
        '＼',
        '\u200b',
        'corp',
        'corp.test',
        'Σ',
        'İ',
        'ß',
        '\u0345',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

test('a name is bounded, clean, and means the same when it is read again', () => {
  fc.assert(
    fc.property(anything, (typed) => {
      const account = parseAccountName(typed);
      if (account === undefined) return;
      assert.ok(account.text !== '' && Buffer.byteLength(account.text) <= maxAccountBytes);
      // oxlint-disable-next-line no-control-regex -- what must not be left
      assert.doesNotMatch(account.text, /[\u0000-\u001f\u007f-\u009f\u200b]|^\s|\s$/);
      assert.deepEqual(parseAccountName(account.text), account);
      assert.deepEqual(parseAccountName(` ${account.text}\u00a0`), account);
    }),
    { numRuns: 2_000 },
  );
});

test('no spelling carries a second separator in a part of the name', () => {
  fc.assert(
    fc.property(anything, (typed) => {
      const account = parseAccountName(typed);
      if (account === undefined || account.kind === 'plain') return;
      const [before, behind] =
        account.kind === 'suffixed' ? [account.name, account.suffix] : [account.domain, account.name];
      for (const part of [before, behind]) assert.ok(part !== '' && !/[\\@＠＼]/.test(part), part);
    }),
    { numRuns: 2_000 },
  );
});

test('folding does nothing to what is folded', () => {
  fc.assert(
    fc.property(anything, (typed) => {
      const folded = foldAccount(typed);
      assert.equal(foldAccount(folded), folded);
    }),
    { numRuns: 2_000 },
  );
  for (const spelling of ['Alice', ' ALICE', '\uff41lice', 'ali\u00adce']) {
    assert.equal(foldAccount(spelling), 'alice');
  }
});

const claims = toNameClaims({ suffixes: ['Corp.test', 'пример.рф'], domains: ['CORP', 'corp.test'] });
const claimed: readonly (readonly [typed: string, expect: boolean])[] = [
  ['alice', false],
  ['corp', false],
  ['alice@CORP.TEST', true],
  ['alice@xn--e1afmkfd.xn--p1ai', true],
  ['alice@sub.corp.test', false],
  ['alice@notcorp.test', false],
  ['alice@corp', false],
  // Cyrillic letters that look like Latin ones.
  ['alice@соrp.test', false],
  ['corp\\alice', true],
  ['corp.test\\alice', true],
  ['corp2\\alice', false],
  ['СORP\\alice', false],
];
for (const [typed, expect] of claimed) {
  test(`${typed} ${expect ? 'belongs' : 'does not belong'} where corp.test and CORP are claimed`, () => {
    const account = parseAccountName(typed);
    assert.ok(account !== undefined);
    assert.equal(isClaimed(account, claims), expect);
  });
}

test('a suffix has one spelling', () => {
  assert.equal(foldSuffix('Пример.РФ'), 'xn--e1afmkfd.xn--p1ai');
  assert.equal(foldSuffix('EXAMPLE.com'), 'example.com');
});

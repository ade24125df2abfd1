import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BindAnswer } from '#src/directory/connection.ts';
import type { LdapEntry } from '#src/directory/entry.ts';
import {
  activeDirectoryStatus,
  freeIpaStatus,
  onlyBind,
  openLdapStatus,
  type StatusRules,
} from '#src/directory/status.ts';
import { parseFileTime, parseGeneralizedTime, parseShadowDays } from '#src/directory/times.ts';

const now = Date.UTC(2026, 10, 21, 12);
/** Days since 1970 of that moment. */
const today = Math.floor(now / 86_400_000);
const fileTime = (ms: number): string => String(BigInt(ms) * 10_000n + 116_444_736_000_000_000n);

type Row = readonly [name: string, attributes: Record<string, string>, expect: string | undefined];

const entryRows: readonly (readonly [kind: string, rules: StatusRules, rows: readonly Row[]])[] = [
  [
    'activeDirectory',
    activeDirectoryStatus,
    [
      ['a normal account', { userAccountControl: '512', pwdLastSet: '133000000000000000' }, undefined],
      ['nothing readable', {}, undefined],
      ['the disabled bit', { userAccountControl: '514' }, 'account-disabled'],
      ['the disabled bit among others', { userAccountControl: '66050' }, 'account-disabled'],
      ['another spelling of the attribute', { USERACCOUNTCONTROL: '514' }, 'account-disabled'],
      ['accountExpires 0', { accountExpires: '0' }, undefined],
      ['accountExpires never', { accountExpires: '9223372036854775807' }, undefined],
      ['accountExpires now', { accountExpires: fileTime(now) }, 'account-expired'],
      ['accountExpires in a second', { accountExpires: fileTime(now + 1_000) }, undefined],
      ['pwdLastSet 0', { userAccountControl: '512', pwdLastSet: '0' }, 'password-must-change'],
      ['pwdLastSet 0, never expires', { userAccountControl: '66048', pwdLastSet: '0' }, undefined],
      ['pwdLastSet 0, smart card', { userAccountControl: '262656', pwdLastSet: '0' }, undefined],
      [
        'the expired bit',
        { pwdLastSet: '1', 'msDS-User-Account-Control-Computed': '8388608' },
        'password-expired',
      ],
      [
        'the expired bit and pwdLastSet 0',
        { pwdLastSet: '0', 'msDS-User-Account-Control-Computed': '8388608' },
        'password-must-change',
      ],
      // Sessions survive what a stranger can cause.
      ['the lockout bit', { 'msDS-User-Account-Control-Computed': '16' }, undefined],
      [
        'disabled before expired',
        { userAccountControl: '514', accountExpires: '1', pwdLastSet: '0' },
        'account-disabled',
      ],
    ],
  ],
  [
    'freeIpa',
    freeIpaStatus,
    [
      ['no lock attribute', {}, undefined],
      ...['TRUE', 'True', 'true'].map((value): Row => [value, { nsAccountLock: value }, 'account-disabled']),
      ...['FALSE', 'false', 'no'].map((value): Row => [value, { nsAccountLock: value }, undefined]),
      ['the account ended', { krbPrincipalExpiration: '20261121115959Z' }, 'account-expired'],
      ['the account ends in a second', { krbPrincipalExpiration: '20261121120001Z' }, undefined],
      [
        'the password aged',
        { krbPasswordExpiration: '20261121115959Z', krbLastPwdChange: '20260821115959Z' },
        'password-expired',
      ],
      [
        'the password was reset',
        { krbPasswordExpiration: '20261121115959Z', krbLastPwdChange: '20261121115959Z' },
        'password-must-change',
      ],
      [
        'the password expired, nobody knows why',
        { krbPasswordExpiration: '19700101000000Z' },
        'password-expired',
      ],
      ['the password holds', { krbPasswordExpiration: '20261121120001Z' }, undefined],
      ['shadowExpire today', { shadowExpire: String(today) }, 'account-expired'],
      ['shadowExpire tomorrow', { shadowExpire: String(today + 1) }, undefined],
    ],
  ],
  [
    'openLdap',
    openLdapStatus,
    [
      ['nothing readable', {}, undefined],
      ['locked for good', { pwdAccountLockedTime: '000001010000Z' }, 'account-locked'],
      ['locked for a while', { pwdAccountLockedTime: '20261121115900Z' }, undefined],
      ['ended', { pwdEndTime: '20261121115959Z' }, 'account-expired'],
      ['not begun', { pwdStartTime: '20261121120001Z' }, 'sign-in-not-permitted'],
      ['to be changed', { pwdReset: 'true' }, 'password-must-change'],
      ['shadowExpire yesterday', { shadowExpire: String(today - 1) }, 'account-expired'],
      ['shadowExpire 0', { shadowExpire: '0' }, undefined],
      ['shadowExpire -1', { shadowExpire: '-1' }, undefined],
    ],
  ],
];

for (const [kind, rules, rows] of entryRows) {
  describe(`the entry, ${kind}`, () => {
    for (const [name, attributes, expect] of rows) {
      test(`${name}: ${expect ?? 'may sign in'}`, () => {
        assert.equal(rules.readEntry({ dn: 'cn=x', ...attributes } as LdapEntry, now), expect);
      });
    }
  });
}

test('a lock of Active Directory that will end refuses a sign-in without a bind', () => {
  const locked: LdapEntry = { dn: 'cn=x', 'msDS-User-Account-Control-Computed': '16' };
  assert.equal(activeDirectoryStatus.readTemporaryLock?.(locked), 'account-locked');
  assert.equal(activeDirectoryStatus.readTemporaryLock?.({ dn: 'cn=x' }), undefined);
});

test('bindOnly takes nothing from the entry and all from the bind', () => {
  const rules = onlyBind(activeDirectoryStatus);
  assert.equal(rules.readEntry({ dn: 'cn=x', userAccountControl: '514' }, now), undefined);
  assert.equal(rules.judgeBind(answer(49, { diagnostic: windowsText('533') })), 'account-disabled');
});

function answer(resultCode: number, more: Partial<BindAnswer> = {}): BindAnswer {
  return { resultCode, policyError: undefined, graceSignInsLeft: undefined, diagnostic: '', ...more };
}

function windowsText(data: string): string {
  return `80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data ${data}, v3839 Code: 0x31`;
}

const dataRows: readonly (readonly [string, string])[] = [
  ['525', 'unknown-account'],
  ['52e', 'wrong-password'],
  ['52E', 'wrong-password'],
  ['530', 'sign-in-not-permitted'],
  ['531', 'sign-in-not-permitted'],
  ['532', 'password-expired'],
  ['533', 'account-disabled'],
  ['701', 'account-expired'],
  ['773', 'password-must-change'],
  ['775', 'account-locked'],
  ['999', 'wrong-password'],
];

describe('the bind', () => {
  for (const [data, expect] of dataRows) {
    test(`Active Directory, 49 with data ${data}: ${expect}`, () => {
      assert.equal(activeDirectoryStatus.judgeBind(answer(49, { diagnostic: windowsText(data) })), expect);
    });
  }

  test('Active Directory, 49 without a word: wrong-password', () => {
    assert.equal(activeDirectoryStatus.judgeBind(answer(49)), 'wrong-password');
  });

  const policyRows: readonly (readonly [string, BindAnswer, string | undefined])[] = [
    ['0', answer(0), undefined],
    ['0, control: must change', answer(0, { policyError: 2 }), 'password-must-change'],
    ['0, control: expired', answer(0, { policyError: 0 }), 'password-expired'],
    ['0, control: something else', answer(0, { policyError: 8 }), 'sign-in-not-permitted'],
    ['0, a grace sign-in', answer(0, { graceSignInsLeft: 1 }), 'password-expired'],
    ['49', answer(49), 'wrong-password'],
    ['49, control: expired', answer(49, { policyError: 0 }), 'password-expired'],
    ['49, control: locked', answer(49, { policyError: 1 }), 'account-locked'],
    ['53', answer(53), 'sign-in-not-permitted'],
    ['53, control: locked', answer(53, { policyError: 1 }), 'account-locked'],
    ['19', answer(19), 'account-locked'],
  ];
  for (const rules of [openLdapStatus, freeIpaStatus]) {
    for (const [name, given, expect] of policyRows) {
      test(`${rules === openLdapStatus ? 'OpenLDAP' : '389-ds'}, ${name}: ${expect ?? 'verified'}`, () => {
        assert.equal(rules.judgeBind(given), expect);
      });
    }
  }

  for (const code of [1, 8, 10, 13, 32, 34, 48, 50]) {
    test(`${code} is a matter of configuration, never a refusal`, () => {
      for (const rules of [openLdapStatus, freeIpaStatus, activeDirectoryStatus]) {
        assert.throws(() => rules.judgeBind(answer(code)), { name: 'LdapFailure', kind: 'config' });
      }
    });
  }

  for (const code of [3, 51, 52, 80]) {
    test(`${code} is a server that cannot say`, () => {
      assert.throws(() => activeDirectoryStatus.judgeBind(answer(code)), { kind: 'unavailable' });
    });
  }
});

const moments: readonly (readonly [string, number | undefined, number | undefined])[] = [
  ['GeneralizedTime', parseGeneralizedTime('20261121120000Z'), now],
  ['GeneralizedTime with a fraction', parseGeneralizedTime('20261121120000.0Z'), now],
  ['GeneralizedTime without seconds', parseGeneralizedTime('202611211200Z'), now],
  ['GeneralizedTime of elsewhere', parseGeneralizedTime('20261121120000+0100'), undefined],
  ['FILETIME', parseFileTime(fileTime(now)), now],
  ['FILETIME 0', parseFileTime('0'), undefined],
  ['FILETIME -1', parseFileTime('-1'), undefined],
  ['FILETIME never', parseFileTime('9223372036854775807'), undefined],
  ['no FILETIME', parseFileTime('soon'), undefined],
  ['days', parseShadowDays('1'), 86_400_000],
  ['no days', parseShadowDays('-1'), undefined],
];

for (const [name, parsed, expect] of moments) {
  test(`${name} is ${expect ?? 'no moment'}`, () => assert.equal(parsed, expect));
}

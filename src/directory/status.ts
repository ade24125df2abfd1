/**
 * What an entry and a bind's answer say of an account: may it sign in, and if not, why. One set of rules per kind of
 * directory, picked by the table in kinds.ts; "bind answered 0" alone never means "may sign in".
 */
import type { RejectionReason } from '../identity/outcome.ts';
import type { BindAnswer } from './connection.ts';
import { type LdapEntry, readValue } from './entry.ts';
import { failureOfResult, resultCode } from './failures.ts';
import { parseFileTime, parseGeneralizedTime, parseShadowDays } from './times.ts';

export interface StatusRules {
  /** Attributes to read with the person; operational ones must be named. */
  readonly attributes: readonly string[];
  /** Of these, the one that every account has: where it is missing, it may not be read. */
  readonly everyAccountHas?: string;
  /** Of these, what most accounts lack, so that nothing in an entry tells whether it may be read: locks, expiries. */
  readonly lockAttributes?: readonly string[];
  readonly expiryAttributes?: readonly string[];
  /** Forbids a sign-in and ends the sessions there are. `undefined`: nothing in the entry does. */
  readonly readEntry: (entry: LdapEntry, nowMs: number) => RejectionReason | undefined;
  /**
   * A lock that ends by itself: spares the account a bind, which would count as a further failure. It leaves sessions
   * alone, because any stranger can lock whom they guess at.
   */
  readonly readTemporaryLock?: (entry: LdapEntry) => RejectionReason | undefined;
  /** `undefined`: the password is right and may be used. Throws LdapFailure when the answer is about the server. */
  readonly judgeBind: (answer: BindAnswer) => RejectionReason | undefined;
}

/** A new password would heal it. Told to nobody but who knows the old one. */
export function isAboutPassword(reason: RejectionReason): boolean {
  return reason === 'password-expired' || reason === 'password-must-change';
}

/** `error` of the password policy response control (draft-behera-ldap-password-policy section 6.2). */
const policyReasons: readonly (RejectionReason | undefined)[] = [
  'password-expired',
  'account-locked',
  'password-must-change',
];

function judgeByPolicy(answer: BindAnswer): RejectionReason | undefined {
  const policyReason = answer.policyError === undefined ? undefined : policyReasons[answer.policyError];
  switch (answer.resultCode) {
    case resultCode.success:
      if (answer.policyError !== undefined) return policyReason ?? 'sign-in-not-permitted';
      return answer.graceSignInsLeft === undefined ? undefined : 'password-expired';
    case resultCode.invalidCredentials:
      return policyReason ?? 'wrong-password';
    // On the bind of a person these two speak of the account, not of the server.
    case resultCode.unwillingToPerform:
      return policyReason ?? 'sign-in-not-permitted';
    case resultCode.constraintViolation:
      return policyReason ?? 'account-locked';
    default:
      throw failureOfResult('the verification bind', answer.resultCode, 'operation');
  }
}

const hasPassed = (moment: number | undefined, nowMs: number): boolean =>
  moment !== undefined && moment <= nowMs;

/** Locked until an administrator unlocks it (draft-behera-ldap-password-policy section 5.3.3). */
const lockedForGood = '000001010000Z';

/**
 * OpenLDAP with the ppolicy overlay. A temporary lock after wrong passwords is left to the bind, which knows how long
 * it lasts.
 */
export const openLdapStatus: StatusRules = {
  attributes: ['pwdAccountLockedTime', 'pwdReset', 'pwdStartTime', 'pwdEndTime', 'shadowExpire'],
  lockAttributes: ['pwdAccountLockedTime'],
  expiryAttributes: ['pwdReset'],
  readEntry: (entry, nowMs) => {
    if (readValue(entry, 'pwdAccountLockedTime') === lockedForGood) return 'account-locked';
    if (hasPassed(parseGeneralizedTime(readValue(entry, 'pwdEndTime')), nowMs)) return 'account-expired';
    if (hasPassed(parseShadowDays(readValue(entry, 'shadowExpire')), nowMs)) return 'account-expired';
    const start = parseGeneralizedTime(readValue(entry, 'pwdStartTime'));
    if (start !== undefined && start > nowMs) return 'sign-in-not-permitted';
    if (readValue(entry, 'pwdReset')?.toUpperCase() === 'TRUE') return 'password-must-change';
    return undefined;
  },
  judgeBind: judgeByPolicy,
};

/**
 * 389-ds under FreeIPA and ALD Pro. Their bind accepts expired passwords, also those an administrator has just set,
 * unless a grace limit is configured: the Kerberos attributes have to be judged here. Temporary locks are left to the
 * bind (results 19 and 53).
 */
export const freeIpaStatus: StatusRules = {
  attributes: [
    'nsAccountLock',
    'krbPrincipalExpiration',
    'krbPasswordExpiration',
    'krbLastPwdChange',
    'shadowExpire',
  ],
  lockAttributes: ['nsAccountLock'],
  expiryAttributes: ['krbPrincipalExpiration', 'krbPasswordExpiration'],
  readEntry: (entry, nowMs) => {
    // The server compares without case, and takes anything else for "not locked".
    if (readValue(entry, 'nsAccountLock')?.toUpperCase() === 'TRUE') return 'account-disabled';
    const accountEnd = parseGeneralizedTime(readValue(entry, 'krbPrincipalExpiration'));
    if (hasPassed(accountEnd, nowMs)) return 'account-expired';
    if (hasPassed(parseShadowDays(readValue(entry, 'shadowExpire')), nowMs)) return 'account-expired';
    const passwordEnd = parseGeneralizedTime(readValue(entry, 'krbPasswordExpiration'));
    if (passwordEnd === undefined || passwordEnd > nowMs) return undefined;
    // A password set by an administrator expires at the moment it is set.
    const setAt = parseGeneralizedTime(readValue(entry, 'krbLastPwdChange'));
    return setAt !== undefined && passwordEnd <= setAt ? 'password-must-change' : 'password-expired';
  },
  judgeBind: judgeByPolicy,
};

/** Bits of userAccountControl and msDS-User-Account-Control-Computed (MS-ADTS section 2.2.16). */
const accountControl = {
  disabled: 0x2,
  lockedOut: 0x10,
  interdomainTrust: 0x800,
  workstationTrust: 0x1000,
  serverTrust: 0x2000,
  passwordNeverExpires: 0x1_0000,
  smartCardRequired: 0x4_0000,
  passwordExpired: 0x80_0000,
} as const;

const passwordDoesNotAge =
  accountControl.interdomainTrust |
  accountControl.workstationTrust |
  accountControl.serverTrust |
  accountControl.passwordNeverExpires |
  accountControl.smartCardRequired;

/**
 * `data` of a refused bind: a Windows error number, hexadecimal (MS-ERREF section 2.2). Everything but a lock is told
 * only to who knows the password.
 */
const dataReasons: Readonly<Record<string, RejectionReason>> = {
  '525': 'unknown-account',
  '52e': 'wrong-password',
  '530': 'sign-in-not-permitted',
  '531': 'sign-in-not-permitted',
  '532': 'password-expired',
  '533': 'account-disabled',
  '534': 'sign-in-not-permitted',
  '701': 'account-expired',
  '773': 'password-must-change',
  '775': 'account-locked',
};

/** Active Directory and Samba: the state is in bits that the server computes, and in the text of a refusal. */
export const activeDirectoryStatus: StatusRules = {
  attributes: ['userAccountControl', 'msDS-User-Account-Control-Computed', 'accountExpires', 'pwdLastSet'],
  everyAccountHas: 'userAccountControl',
  readEntry: (entry, nowMs) => {
    const control = readBits(entry, 'userAccountControl');
    if ((control & accountControl.disabled) !== 0) return 'account-disabled';
    if (hasPassed(parseFileTime(readValue(entry, 'accountExpires')), nowMs)) return 'account-expired';
    const isExpired =
      (readBits(entry, 'msDS-User-Account-Control-Computed') & accountControl.passwordExpired) !== 0;
    if (readValue(entry, 'pwdLastSet') === '0') {
      // The computed bit says so too, where it may be read.
      return isExpired || (control & passwordDoesNotAge) === 0 ? 'password-must-change' : undefined;
    }
    return isExpired ? 'password-expired' : undefined;
  },
  readTemporaryLock: (entry) =>
    (readBits(entry, 'msDS-User-Account-Control-Computed') & accountControl.lockedOut) === 0
      ? undefined
      : 'account-locked',
  judgeBind: (answer) => {
    if (answer.resultCode !== resultCode.invalidCredentials) return judgeByPolicy(answer);
    const data = /\bdata ([0-9a-f]+)/i.exec(answer.diagnostic)?.[1]?.toLowerCase();
    return dataReasons[data ?? ''] ?? 'wrong-password';
  },
};

/** The entry forbids nothing; what the bind answers counts as ever. */
export function onlyBind(rules: StatusRules): StatusRules {
  return { attributes: [], readEntry: () => undefined, judgeBind: rules.judgeBind };
}

function readBits(entry: LdapEntry, attribute: string): number {
  const text = readValue(entry, attribute);
  return text !== undefined && /^-?\d{1,10}$/.test(text) ? Number(text) | 0 : 0;
}

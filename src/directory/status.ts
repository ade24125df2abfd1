/**
 * What an entry and a bind's answer say of an account: may it sign in, and if not, why. One set of rules per kind of
 * directory, picked by the table in kinds.ts; "bind answered 0" alone never means "may sign in".
 */
import type { RejectionReason } from '../identity/outcome.ts';
import type { BindAnswer } from './connection.ts';
import { type LdapEntry, readValue } from './entry.ts';
import { failureOfResult, resultCode } from './failures.ts';

export interface StatusRules {
  /** Attributes to read with the person; operational ones must be named. */
  readonly attributes: readonly string[];
  /** `undefined`: nothing in the entry forbids a sign-in. */
  readonly readEntry: (entry: LdapEntry, nowMs: number) => RejectionReason | undefined;
  /** `undefined`: the password is right and may be used. Throws LdapFailure when the answer is about the server. */
  readonly judgeBind: (answer: BindAnswer) => RejectionReason | undefined;
}

/** `error` of the password policy response control (draft-behera-ldap-password-policy section 6.2). */
const policyReasons: readonly (RejectionReason | undefined)[] = [
  'password-expired',
  'account-locked',
  'password-must-change',
];

/** Locked until an administrator unlocks it (same draft, section 5.3.3). */
const lockedForGood = '000001010000Z';

/**
 * OpenLDAP with the ppolicy overlay. A temporary lock after wrong passwords is left to the bind, which knows how long
 * it lasts; read from the entry it would end the sessions of whoever a stranger guesses at.
 */
export const openLdapStatus: StatusRules = {
  attributes: ['pwdAccountLockedTime', 'pwdReset', 'pwdStartTime', 'pwdEndTime'],
  readEntry: (entry, nowMs) => {
    if (readValue(entry, 'pwdAccountLockedTime') === lockedForGood) return 'account-locked';
    const end = parseGeneralizedTime(readValue(entry, 'pwdEndTime'));
    if (end !== undefined && end <= nowMs) return 'account-expired';
    const start = parseGeneralizedTime(readValue(entry, 'pwdStartTime'));
    if (start !== undefined && start > nowMs) return 'sign-in-not-permitted';
    if (readValue(entry, 'pwdReset')?.toUpperCase() === 'TRUE') return 'password-must-change';
    return undefined;
  },
  judgeBind: (answer) => {
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
  },
};

/** GeneralizedTime (RFC 4517 section 3.3.13) with seconds or minutes, in UTC, as milliseconds since the epoch. */
export function parseGeneralizedTime(text: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d+)?Z$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second = '0'] = match.map(String);
  return Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    second === 'undefined' ? 0 : Number(second),
  );
}

/**
 * Changes the password of somebody in a directory: proves the old one on the connection that then asks for the new
 * one. What a server makes of it is told by numbers, its text is not read. Knows neither pools nor people.
 */
import type { PasswordPair } from '../identity/credential.ts';
import type { PasswordChangeOutcome, PasswordRefusal, RejectionReason } from '../identity/outcome.ts';
import type { Secret } from '../lib/secret.ts';
import type { BindAnswer, LdapConnection } from './connection.ts';
import { failureOfResult, LdapFailure, resultCode } from './failures.ts';
import {
  type EncodedPasswordChange,
  encodePasswordModify,
  encodeUnicodePassword,
} from './password-encoding.ts';
import { type PasswordRequirements, passwordRequirements } from './password-requirements.ts';
import { isAboutPassword } from './status.ts';

/**
 * Whether an answer that minds the state of the password says as well that the password was right: servers look at the
 * state last, except for the two results that speak of the account whatever was typed.
 */
export function isProof({ resultCode: code }: BindAnswer): boolean {
  return code === resultCode.success || code === resultCode.invalidCredentials;
}

export interface PasswordMethod extends PasswordRequirements {
  /** Whether the way is still open for somebody whose bind with the old password was answered like this. */
  readonly isOpenAfter: (answer: BindAnswer) => boolean;
  readonly encode: (dn: string, passwords: PasswordPair) => EncodedPasswordChange;
  /** `undefined`: changed. Throws LdapFailure when the answer is about the server. */
  readonly judge: (answer: BindAnswer) => PasswordChangeOutcome | undefined;
}

/** `error` of the password policy response control, as far as it is about new passwords (draft-behera section 6.2). */
const policyRefusals: Readonly<Record<number, PasswordRefusal>> = {
  3: 'not-allowed',
  4: 'not-allowed',
  5: 'quality',
  6: 'too-short',
  7: 'too-young',
  8: 'in-history',
};

function judgeByPolicy({ resultCode: code, policyError }: BindAnswer): PasswordChangeOutcome | undefined {
  if (code === resultCode.success) return undefined;
  const known = policyError === undefined ? undefined : policyRefusals[policyError];
  if (known !== undefined) return refused(known);
  switch (code) {
    case resultCode.constraintViolation:
      return refused('rules');
    // OpenLDAP answers the first of these where access rules keep people from their own password.
    case resultCode.unwillingToPerform:
    case resultCode.insufficientAccessRights:
      return refused('not-allowed');
    case resultCode.invalidCredentials:
      return { kind: 'rejected', reason: 'wrong-password' };
    default:
      throw failureOfResult('the change of a password', code, 'operation');
  }
}

/** RFC 3062, as the person. A bind that was refused, or was the last one allowed, leaves nobody to ask as. */
const byPerson: Omit<PasswordMethod, keyof PasswordRequirements> = {
  isOpenAfter: ({ resultCode: code, graceSignInsLeft }) =>
    code === resultCode.success && graceSignInsLeft !== 0,
  encode: (_, passwords) => encodePasswordModify(passwords),
  judge: judgeByPolicy,
};

export const openLdapPassword: PasswordMethod = { ...passwordRequirements.openLdap, ...byPerson };
export const freeIpaPassword: PasswordMethod = { ...passwordRequirements.freeIpa, ...byPerson };

/** Windows error numbers at the start of a diagnostic (MS-ERREF section 2.2): a domain says there what it minds. */
const windowsError = { invalidPassword: '00000056', passwordRestriction: '0000052D' } as const;

/**
 * A domain lets nobody bind whose password has to be changed, but everybody change a password they know: the service
 * account brings both. Not over a connection in clear text, by its rules and by ours.
 */
export const activeDirectoryPassword: PasswordMethod = {
  ...passwordRequirements.activeDirectory,
  isOpenAfter: () => true,
  encode: encodeUnicodePassword,
  judge: (answer) => {
    const number = /^([0-9a-f]{8}):/i.exec(answer.diagnostic)?.[1]?.toUpperCase();
    if (number === windowsError.passwordRestriction) return refused('rules');
    if (number === windowsError.invalidPassword) return { kind: 'rejected', reason: 'wrong-password' };
    if (answer.resultCode === resultCode.unwillingToPerform) {
      throw failureOfResult('the change of a password', answer.resultCode, 'operation');
    }
    return judgeByPolicy(answer);
  },
};

export interface PasswordChangeOptions {
  readonly method: PasswordMethod;
  readonly dn: string;
  readonly passwords: PasswordPair;
  /** As StatusRules.judgeBind. */
  readonly judgeBind: (answer: BindAnswer) => RejectionReason | undefined;
  /** The entry says that the password has to be changed; otherwise the bind has to. */
  readonly isDue: boolean;
}

/** What a server lends for it: a connection of its own, which is not used for anything else afterwards. */
export interface PasswordChangePlace {
  readonly connection: Pick<LdapConnection, 'bind' | 'bindService' | 'changePassword'>;
  readonly isEncrypted: boolean;
  readonly serviceAccount: { readonly dn: string; readonly password: Secret } | undefined;
}

export class PasswordChange {
  readonly #options: PasswordChangeOptions;
  #isSent = false;

  constructor(options: PasswordChangeOptions) {
    this.#options = options;
  }

  /** The new password may be the one that counts: nobody may send it again. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /** Throws LdapFailure. */
  async perform({
    connection,
    isEncrypted,
    serviceAccount,
  }: PasswordChangePlace): Promise<PasswordChangeOutcome> {
    const { method, dn, passwords, judgeBind, isDue } = this.#options;
    if (method.needsTls && !isEncrypted) {
      throw new LdapFailure('passwords of this directory are changed over TLS only', {
        kind: 'config',
        stage: 'waiting',
      });
    }
    const proof = await connection.bind(dn, passwords.old);
    const reason = judgeBind(proof);
    if (reason !== undefined && !(isAboutPassword(reason) && isProof(proof))) {
      return { kind: 'rejected', reason };
    }
    if (reason === undefined && !isDue) return refused('not-required');
    // The bind itself may have used up the last sign-in: it is bound now, so only a refusal is in the way.
    if (!method.needsServiceAccount && proof.resultCode !== resultCode.success) return refused('not-allowed');
    if (method.needsServiceAccount) {
      if (serviceAccount === undefined) return refused('not-allowed');
      await connection.bindService(serviceAccount.dn, serviceAccount.password);
    }
    this.#isSent = true;
    const answer = await connection.changePassword(method.encode(dn, passwords));
    return method.judge(answer) ?? { kind: 'changed' };
  }
}

function refused(reason: PasswordRefusal): PasswordChangeOutcome {
  return { kind: 'refused', reason };
}

/** What Zimbra's fault codes mean to somebody who wants to open a mailbox. The texts beside them are never read. */

export type MailRefusal =
  /** Wrong key, wrong clock, unknown or locked account: Zimbra does not say which. */
  | 'mail-refused'
  /** The account exists and may not be used. */
  | 'account-inactive'
  /** The domain has no key, or the address does not take sign-ins. */
  | 'mail-misconfigured'
  /** Anything else. */
  | 'mail-fault';

const meanings: ReadonlyMap<string, MailRefusal> = new Map([
  ['account.AUTH_FAILED', 'mail-refused'],
  ['account.NO_SUCH_ACCOUNT', 'mail-refused'],
  ['service.PERM_DENIED', 'mail-refused'],
  ['account.ACCOUNT_INACTIVE', 'account-inactive'],
  ['account.MAINTENANCE_MODE', 'account-inactive'],
  ['account.PASSWORD_LOCKED', 'account-inactive'],
  ['account.CHANGE_PASSWORD', 'account-inactive'],
  ['account.NO_SUCH_DOMAIN', 'mail-misconfigured'],
  ['service.INVALID_REQUEST', 'mail-misconfigured'],
  ['service.UNKNOWN_DOCUMENT', 'mail-misconfigured'],
]);

export function meaningOf(code: string): MailRefusal {
  return meanings.get(code) ?? 'mail-fault';
}

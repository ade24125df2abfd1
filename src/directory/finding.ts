/** What a check of a directory says: one sentence each, for a person who can change it. */

/** A closed list, so that it may stand where DNs and host names may not. */
export type FindingCode =
  | 'unreachable'
  | 'certificate-refused'
  | 'certificate-expiring'
  | 'service-account-refused'
  | 'encryption-required'
  | 'not-answering'
  | 'clock-differs'
  | 'policy-control-missing'
  | 'users-base-missing'
  | 'users-filter-matches-nobody'
  | 'username-unreadable'
  | 'status-unreadable'
  | 'stable-id-unreadable'
  | 'groups-base-missing'
  | 'groups-not-found'
  | 'group-name-unreadable'
  | 'groups-unreadable'
  | 'size-limit-low';

export interface DirectoryFinding {
  readonly code: FindingCode;
  /** `problem`: sign-ins will fail; `warning`: they may, or will some day. */
  readonly level: 'problem' | 'warning';
  /** URL of the server, where the finding is about one. */
  readonly server: string | undefined;
  /** The option to look at, below the directory's own; empty: the server's place. */
  readonly path: readonly string[];
  /** One sentence: what is wrong and what to do. */
  readonly message: string;
}

/** Everything but the server, which whoever collects findings knows. */
export type Report = (finding: Omit<DirectoryFinding, 'server'>) => void;

/** For where names of entries and servers do not belong, such as the readiness page. */
export const findingTitles: Readonly<Record<FindingCode, string>> = {
  unreachable: 'a server cannot be reached',
  'certificate-refused': "a server's certificate is refused",
  'certificate-expiring': "a server's certificate is about to expire",
  'service-account-refused': 'the service account is refused',
  'encryption-required': 'a server demands encryption',
  'not-answering': 'a server stopped answering',
  'clock-differs': "a server's clock differs",
  'policy-control-missing': 'a server does not tell of its password policy',
  'users-base-missing': 'users.baseDn is not there or not readable',
  'users-filter-matches-nobody': 'users.filter matches nobody',
  'username-unreadable': 'account names are not readable',
  'status-unreadable': 'locks or expiries of accounts are not readable',
  'stable-id-unreadable': 'stable identifiers are not readable',
  'groups-base-missing': 'groups.baseDn is not there or not readable',
  'groups-not-found': 'no group is found',
  'group-name-unreadable': 'group names are not readable',
  'groups-unreadable': 'memberships are not readable',
  'size-limit-low': 'long answers are cut off',
};

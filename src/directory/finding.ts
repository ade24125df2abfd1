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

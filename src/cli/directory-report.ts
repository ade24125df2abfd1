/** The outcome of `vratar directory test` as facts for programs and as text for people. Neither ever holds a password. */
import type { Examination } from '../directory/examination.ts';
import type { DirectoryOptions } from '../directory/options.ts';
import type { PasswordChangeWay, RejectionReason } from '../identity/outcome.ts';
import { printable } from './printable.ts';

export type Verdict = 'accepted' | 'rejected' | 'unavailable' | 'misconfigured';

/** What the mapping rules make of a person who comes by a provider. */
export interface Grant {
  readonly provider: string;
  readonly roles: readonly string[];
  /** Granted by rules, on top of the directory's. */
  readonly groups: readonly string[];
  readonly accessLevel: string;
}

export interface DirectoryReport {
  readonly directory: string;
  readonly verdict: Verdict;
  /** `undefined` unless rejected. */
  readonly reason: RejectionReason | undefined;
  /** What works and what does not. */
  readonly sentence: string;
  readonly servers: Examination['servers'];
  readonly serviceAccount: string | undefined;
  readonly entry: Examination['entry'];
  readonly password: {
    readonly outcome: 'not tried' | 'right' | 'refused';
    readonly resultCode?: number;
    /** The server's own words. */
    readonly diagnostic?: string;
  };
  readonly groups: {
    readonly method: string;
    readonly count: number;
    /** `undefined`: the directory does not tell direct from nested memberships. */
    readonly direct: number | undefined;
    readonly list: readonly {
      readonly name: string;
      readonly dn?: string | undefined;
      readonly isDirect?: boolean;
    }[];
  };
  readonly grants: readonly Grant[];
  readonly steps: Examination['steps'];
}

const reasons: Readonly<Partial<Record<RejectionReason, string>>> = {
  'credentials-malformed': 'the name or the password is none that a directory could hold',
  'unknown-account': 'users.filter finds nobody of that name',
  'ambiguous-account': 'users.filter finds more than one entry of that name',
  'wrong-password': 'the password is wrong',
  'account-disabled': 'the account is disabled',
  'account-locked': 'the account is locked',
  'account-expired': 'the account has expired',
  'password-expired': 'the password has expired',
  'password-must-change': 'the password must be changed first',
  'sign-in-not-permitted': 'the directory does not permit a sign-in now',
};

export function toReport(
  options: DirectoryOptions,
  examination: Examination,
  context: { readonly user: string; readonly grants: readonly Grant[]; readonly isPasswordTried: boolean },
): DirectoryReport {
  const { outcome, servers, serviceAccount, entry, bind, directGroups, steps, groupMethod } = examination;
  const { grants } = context;
  const groups = outcome.kind === 'accepted' ? outcome.person.groups : [];
  const list = groups.map(({ name, dn }) => ({
    name,
    dn,
    ...(directGroups === undefined ? {} : { isDirect: directGroups.has(dn ?? name) }),
  }));
  const verdict = verdictOf(examination, grants);
  return {
    directory: options.name,
    verdict,
    reason: outcome.kind === 'rejected' ? outcome.reason : undefined,
    sentence: sentenceOf(options.name, examination, verdict, context),
    servers,
    serviceAccount,
    entry,
    password:
      bind === undefined
        ? { outcome: 'not tried' }
        : { outcome: bind.resultCode === 0 ? 'right' : 'refused', ...bind },
    groups: {
      method: groupMethod ?? 'none',
      count: groups.length,
      direct:
        directGroups === undefined ? undefined : list.filter(({ isDirect }) => isDirect === true).length,
      list,
    },
    grants,
    steps,
  };
}

function verdictOf({ outcome }: Examination, grants: readonly Grant[]): Verdict {
  if (outcome.kind === 'unanswered') {
    return outcome.code === 'PROVIDER_MISCONFIGURED' ? 'misconfigured' : 'unavailable';
  }
  if (outcome.kind === 'rejected') return 'rejected';
  return grants.length === 0 ? 'misconfigured' : 'accepted';
}

function sentenceOf(
  directory: string,
  { outcome, servers, entry }: Examination,
  verdict: Verdict,
  { user, grants, isPasswordTried }: Parameters<typeof toReport>[2],
): string {
  if (outcome.kind === 'unanswered') {
    const told = outcome.findings.filter(({ level }) => level === 'problem');
    const why = told.map(({ server, message }) => `${server === undefined ? '' : `${server}: `}${message}`);
    return `${directory} does not work: ${why.length === 0 ? `${outcome.message}.` : why.join(' ')}`;
  }
  const away = servers.filter(({ available }) => !available).map(({ url }) => url);
  const works = away.length === 0 ? `${directory} works` : `${directory} works without ${away.join(' and ')}`;
  if (outcome.kind === 'rejected') {
    const seen = entry === undefined ? [] : evidenceOf(outcome.reason, entry.status);
    const evidence = seen.length === 0 ? '' : ` (${seen.join('; ')})`;
    const way = outcome.passwordChange === undefined ? '' : `; ${wayOut(outcome.passwordChange)}`;
    return `${works}: ${user} is not let in, because ${reasons[outcome.reason] ?? outcome.reason}${evidence}${way}.`;
  }
  const { username, groups } = outcome.person;
  if (verdict === 'misconfigured') {
    return `${works}, but nobody is let in by it: no entry of providers names this directory.`;
  }
  const roles = [...new Set(grants.flatMap((grant) => grant.roles))];
  const gets = `with ${groups.length === 1 ? '1 group' : `${groups.length} groups`} and ${rolesOf(roles)}`;
  return isPasswordTried
    ? `${works}: ${username} is let in, ${gets}.`
    : `${works}: ${username} would be let in with the right password, ${gets}.`;
}

/** Which attributes tell of what, in lower case. */
const evidence: Readonly<Partial<Record<RejectionReason, readonly string[]>>> = {
  'account-disabled': ['useraccountcontrol', 'nsaccountlock'],
  'account-locked': ['pwdaccountlockedtime', 'msds-user-account-control-computed'],
  'account-expired': ['accountexpires', 'krbprincipalexpiration', 'pwdendtime', 'shadowexpire'],
  'password-expired': ['krbpasswordexpiration', 'msds-user-account-control-computed'],
  'password-must-change': ['pwdreset', 'pwdlastset', 'krbpasswordexpiration'],
  'sign-in-not-permitted': ['pwdstarttime'],
};

function evidenceOf(
  reason: RejectionReason,
  status: NonNullable<Examination['entry']>['status'],
): readonly string[] {
  const telling = evidence[reason] ?? [];
  return status
    .filter(({ attribute }) => telling.includes(attribute.toLowerCase()))
    .map(
      ({ attribute, value, meaning }) =>
        `${attribute} ${value}${meaning === undefined ? '' : `: ${meaning}`}`,
    );
}

function wayOut(way: PasswordChangeWay): string {
  switch (way.kind) {
    case 'here':
      return 'the sign-in page asks for a new one';
    case 'elsewhere':
      return `the sign-in page links to ${way.url}`;
    case 'nowhere':
      return 'the sign-in page cannot change it (passwordChange, passwordChangeUrl)';
  }
}

function rolesOf(roles: readonly string[]): string {
  if (roles.length === 0) return 'no roles';
  return `the ${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`;
}

const maxGroupLines = 40;

const stepNames: Readonly<Record<Examination['steps'][number]['name'], string>> = {
  connect: 'connect and bind',
  find: 'find',
  password: 'password',
  groups: 'groups',
};

export function reportText(report: DirectoryReport): string {
  const lines: string[] = [`directory ${report.directory}`];
  const put = (label: string, rows: readonly (readonly string[])[]): void => {
    rows.forEach((cells, index) => {
      const [first = '', ...rest] = cells.map(printable);
      const text = rest.length === 0 ? first : [first.padEnd(32), ...rest].join('  ');
      lines.push(`  ${(index === 0 ? label : '').padEnd(9)} ${text.trimEnd()}`);
    });
  };
  put(
    'servers',
    report.servers.map(({ url, available, reason }) => [url, available ? 'answers' : (reason ?? '')]),
  );
  put('bind', [[report.serviceAccount ?? 'without a service account']]);
  if (report.entry !== undefined) {
    put('entry', [[report.entry.dn]]);
    put(
      'mapped',
      report.entry.attributes.map(({ name, attribute, values }) => [
        `${name} (${attribute})`,
        values.length === 0 ? '-' : values.join(' | '),
      ]),
    );
    put('status', [
      [report.entry.state ?? 'may sign in'],
      ...report.entry.status.map(({ attribute, value, meaning }) => [`${attribute} ${value}`, meaning ?? '']),
    ]);
  }
  const { outcome, resultCode, diagnostic = '' } = report.password;
  put('password', [
    [outcome === 'refused' ? `refused with LDAP result ${resultCode} ${diagnostic}` : outcome],
  ]);
  if (report.verdict === 'accepted' || report.groups.count > 0) put('groups', groupRows(report.groups));
  if (report.verdict === 'accepted') {
    put(
      'roles',
      report.grants.map(({ provider, roles, groups, accessLevel }) => [
        roles.length === 0 ? 'none' : roles.join(', '),
        `provider ${provider}, access level ${accessLevel}${groups.length === 0 ? '' : `, and groups ${groups.join(', ')}`}`,
      ]),
    );
  }
  put('timings', [
    [
      report.steps
        .map(
          ({ name, ms, searches }) =>
            `${stepNames[name]} ${ms.toFixed(1)} ms${searches === 0 ? '' : ` (${searches === 1 ? '1 search' : `${searches} searches`})`}`,
        )
        .join(', '),
    ],
  ]);
  return `${lines.join('\n')}\n${printable(report.sentence)}\n`;
}

function groupRows({
  count,
  direct,
  method,
  list,
}: DirectoryReport['groups']): readonly (readonly string[])[] {
  const split = direct === undefined ? '' : `: ${direct} direct, ${count - direct} through other groups`;
  const rows = list
    .slice(0, maxGroupLines)
    .map(({ name, dn, isDirect }) => [isDirect === false ? `${name} (nested)` : name, dn ?? '']);
  const more = count > rows.length ? [[`and ${count - rows.length} more`]] : [];
  return [[`${count}${split}, found by ${method}`], ...rows, ...more];
}

/** What the configuration says of each real directory that holds the people of accounts.ts, and how they change there. */
import { type AccountState, accountGroups, accounts, loop } from './accounts.ts';
import { type Dirsrv, startDirsrv, whyNoDirsrv } from './dirsrv.ts';
import { accountOfUsers, peopleOfAccounts, serviceOfAccounts } from './dirsrv-data.ts';
import { type Samba, startSamba, whyNoSamba } from './samba.ts';
import { accountOfDomain, peopleOfDomain, serviceOfDomain } from './samba-data.ts';
import { type Slapd, startSlapd } from './slapd.ts';
import {
  type GroupEntry,
  groupsBase,
  type PersonEntry,
  peopleBase,
  personDn,
  policiesBase,
  service,
} from './slapd-data.ts';

export interface RunningDirectory extends AsyncDisposable {
  /** `directories[…]` of the configuration, without the name. */
  readonly options: Record<string, unknown>;
  /** Applies LDIF change records as the administrator. */
  modify(ldif: string): Promise<void>;
  /** DN of an account of accounts.ts. */
  dnOf(username: string): string;
  /** LDIF lines that disable an account, below its `dn:` line. */
  readonly disabling: string;
}

export interface DirectoryKindUnderTest {
  readonly kind: 'openLdap' | 'freeIpa' | 'activeDirectory';
  readonly server: string;
  /** Why this machine cannot run it. */
  readonly whyNot: string | undefined;
  readonly start: () => Promise<RunningDirectory>;
}

export const kindsUnderTest: readonly DirectoryKindUnderTest[] = [
  {
    kind: 'openLdap',
    server: 'slapd',
    whyNot: undefined,
    start: async () => asOpenLdap(await slapdWithAccounts()),
  },
  {
    kind: 'freeIpa',
    server: '389-ds',
    whyNot: whyNoDirsrv(),
    start: async () => asFreeIpa(await startDirsrv()),
  },
  {
    kind: 'activeDirectory',
    server: 'Samba',
    whyNot: whyNoSamba(),
    start: async () => asActiveDirectory(await startSamba()),
  },
];

function change(attribute: string, value: string): string {
  return `changetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n`;
}

export function asFreeIpa(server: Dirsrv): RunningDirectory {
  return {
    options: {
      kind: 'freeIpa',
      servers: [server.secureUrl],
      tls: { caFile: server.caFile },
      bind: serviceOfAccounts,
      users: { baseDn: peopleOfAccounts },
      groups: {},
    },
    modify: async (ldif) => await server.modify(ldif),
    dnOf: accountOfUsers,
    disabling: change('nsAccountLock', 'TRUE'),
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

export function asActiveDirectory(server: Samba): RunningDirectory {
  return {
    options: {
      kind: 'activeDirectory',
      servers: [server.secureUrl],
      tls: { caFile: server.caFile, serverName: server.serverName },
      bind: serviceOfDomain,
      users: { baseDn: peopleOfDomain },
      groups: {},
    },
    modify: async (ldif) => await server.modify(ldif),
    dnOf: accountOfDomain,
    disabling: change('userAccountControl', '514'),
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

export function asOpenLdap(server: Slapd): RunningDirectory {
  return {
    options: {
      kind: 'openLdap',
      servers: [server.url],
      bind: service,
      users: { baseDn: peopleBase },
      groups: { baseDn: groupsBase },
    },
    modify: async (ldif) => await server.modify(ldif),
    dnOf: personDn,
    disabling: change('pwdAccountLockedTime', '000001010000Z'),
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

const slapdAttributes: Readonly<Record<AccountState, Readonly<Record<string, string>>>> = {
  normal: {},
  // The overlay looks at the lock only where the policy knows of locks.
  disabled: { pwdAccountLockedTime: '000001010000Z', pwdPolicySubentry: `cn=strict,${policiesBase}` },
  lockable: { pwdPolicySubentry: `cn=strict,${policiesBase}` },
  'password-must-change': { pwdReset: 'TRUE' },
  'password-expired': {
    pwdChangedTime: '20200101000000Z',
    pwdPolicySubentry: `cn=aging,${policiesBase}`,
  },
  'account-expired': { pwdEndTime: '20260101000000Z' },
};

/** Besides its own people. */
export async function slapdWithAccounts(): Promise<Slapd> {
  const people: PersonEntry[] = accounts.map((account) => ({
    uid: account.username,
    password: account.password,
    givenName: account.givenName,
    sn: account.familyName,
    displayName: `${account.givenName} ${account.familyName}`,
    mail: account.email,
    attributes: {
      ...(account.alias === undefined ? {} : { uid: [account.alias, account.username] }),
      ...slapdAttributes[account.state],
    },
  }));
  const groups: GroupEntry[] = accountGroups.map(({ name, accounts: members = [], groups: nested = [] }) => ({
    name,
    people: members,
    groups: name === loop.group ? [...nested, loop.member] : nested,
  }));
  return await startSlapd({ people, groups });
}

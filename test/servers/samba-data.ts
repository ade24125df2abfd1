/** The people and groups of accounts.ts as a domain holds them. */
import { type Account, accountGroups, accounts, loop } from './accounts.ts';
import { entry, escapeRdn } from './slapd-data.ts';

export const domain = 'DC=corp,DC=test';
export const peopleOfDomain = `OU=People,${domain}`;
export const groupsOfDomain = `OU=Groups,${domain}`;
export const serviceOfDomain = {
  dn: `CN=vratar,OU=Services,${domain}`,
  password: 'vratar-Passw0rd',
} as const;

export const accountOfDomain = (username: string): string => `CN=${escapeRdn(username)},${peopleOfDomain}`;
export const groupOfDomain = (name: string): string => `CN=${name},${groupsOfDomain}`;

/** Bits of userAccountControl: NORMAL_ACCOUNT, ACCOUNTDISABLE. */
const normalAccount = 0x200;
const disabled = 0x2;
/** 2020-01-01 in units of 100 ns since 1601. */
const longAgo = '132223104000000000';
/** Bits of groupType: global and domain-local groups with rights (0x80000000), and one for mail only. */
const globalGroup = String(0x80000002 | 0);
const domainLocalGroup = String(0x80000004 | 0);
const distributionGroup = '2';

/** For `ldbadd`: goes through the modules of the server, which hash passwords and make SIDs. */
export function domainEntries(): string {
  return [
    ...['People', 'Groups', 'Services'].map((ou) =>
      entry(`OU=${ou},${domain}`, { objectClass: 'organizationalUnit', ou }),
    ),
    person(serviceOfDomain.dn, 'vratar', serviceOfDomain.password, {}),
    ...accounts.map((account) =>
      person(accountOfDomain(account.username), account.username, account.password, details(account)),
    ),
    // Hours and workstations are answered by the bind alone; no other kind of directory has them.
    person(accountOfDomain('hours'), 'hours', 'hours-Passw0rd', { logonHours: Buffer.alloc(21).toString() }),
    person(accountOfDomain('workstation'), 'workstation', 'workstation-Passw0rd', {
      userWorkstations: 'ELSEWHERE',
    }),
    ...accountGroups.map(({ name, accounts: people = [], groups = [] }) =>
      group(name, name === 'company' ? domainLocalGroup : globalGroup, [
        ...people.map(accountOfDomain),
        ...groups.map(groupOfDomain),
      ]),
    ),
    group('newsletter', distributionGroup, [accountOfDomain('anna')]),
  ].join('\n');
}

/** For `ldbmodify` through the modules. */
export function domainChanges(): string {
  return `dn: ${groupOfDomain(loop.group)}\nchangetype: modify\nadd: member\nmember: ${groupOfDomain(loop.member)}\n`;
}

/** For `ldbmodify` of the database beneath the modules, which would refuse to set the past. */
export function rawDomainChanges(): string {
  return accounts
    .filter(({ state }) => state === 'password-expired')
    .map(
      ({ username }) =>
        `dn: ${accountOfDomain(username)}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: ${longAgo}\n`,
    )
    .join('\n');
}

function details({
  givenName,
  familyName,
  username,
  email,
  alias,
  principal,
  state,
}: Account): Record<string, string | string[]> {
  return {
    givenName,
    sn: familyName,
    displayName: `${givenName} ${familyName}`,
    mail: email,
    ...(principal === undefined ? {} : { userPrincipalName: principal }),
    uid: alias === undefined ? username : [username, alias],
    ...(state === 'disabled' ? { userAccountControl: String(normalAccount | disabled) } : {}),
    ...(state === 'password-must-change' ? { pwdLastSet: '0' } : {}),
    ...(state === 'account-expired' ? { accountExpires: longAgo } : {}),
  };
}

function person(
  dn: string,
  name: string,
  password: string,
  more: Readonly<Record<string, string | readonly string[]>>,
): string {
  const bytes = Buffer.from(password, 'utf16le').toString('base64');
  const text = entry(dn, {
    objectClass: 'user',
    sAMAccountName: name,
    userPrincipalName: `${name}@corp.test`,
    userAccountControl: String(normalAccount),
    ...more,
  });
  return `${text}clearTextPassword:: ${bytes}\n`;
}

function group(name: string, groupType: string, member: readonly string[]): string {
  return entry(groupOfDomain(name), { objectClass: 'group', sAMAccountName: name, groupType, member });
}

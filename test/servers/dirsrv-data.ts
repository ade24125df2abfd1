/** The people and groups of accounts.ts as 389 Directory Server holds them, with the attributes FreeIPA adds. */
import { type Account, type AccountState, accountGroups, accounts, loop } from './accounts.ts';
import { entry, escapeRdn } from './slapd-data.ts';

export const accountsSuffix = 'dc=example,dc=test';
export const peopleOfAccounts = `cn=users,cn=accounts,${accountsSuffix}`;
export const groupsOfAccounts = `cn=groups,cn=accounts,${accountsSuffix}`;
export const serviceOfAccounts = {
  dn: `cn=vratar,cn=accounts,${accountsSuffix}`,
  password: 'vratar-Passw0rd',
} as const;
export const directoryManager = { dn: 'cn=Directory Manager', password: 'manager-Passw0rd' } as const;

export const accountOfUsers = (username: string): string => `uid=${escapeRdn(username)},${peopleOfAccounts}`;
export const groupOfAccounts = (name: string): string => `cn=${name},${groupsOfAccounts}`;

/** What FreeIPA brings besides the Kerberos schema, which 389-ds has on its shelf. */
export const ipaSchema = `dn: cn=schema
attributeTypes: ( 2.16.840.1.113730.3.8.3.1 NAME 'ipaUniqueID' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 X-ORIGIN 'IPA v2' )
objectClasses: ( 2.16.840.1.113730.3.8.4.2 NAME 'ipaObject' SUP top AUXILIARY MAY ( ipaUniqueID ) X-ORIGIN 'IPA v2' )
`;

/**
 * In FreeIPA these are told by attributes of the entry; the server below knows only the lock and its own policy.
 * `own-…` accounts have their state from the password policy of 389-ds alone.
 */
const ipaAttributes: Readonly<Record<AccountState, Readonly<Record<string, string>>>> = {
  normal: { krbPasswordExpiration: '20991231235959Z', nsAccountLock: 'FALSE' },
  disabled: { nsAccountLock: 'TRUE' },
  lockable: {},
  // A password set by an administrator expires at the moment it was set.
  'password-must-change': {
    krbLastPwdChange: '20260101120000Z',
    krbPasswordExpiration: '20260101120000Z',
  },
  'password-expired': { krbLastPwdChange: '20250101120000Z', krbPasswordExpiration: '20260101120000Z' },
  'account-expired': { krbPrincipalExpiration: '20260101120000Z' },
};

const agingPolicy = `cn=aging,cn=policies,${accountsSuffix}`;
const mustChangePolicy = `cn=mustchange,cn=policies,${accountsSuffix}`;
const gracePolicy = `cn=grace,cn=policies,${accountsSuffix}`;
const patientPolicy = `cn=patient,cn=policies,${accountsSuffix}`;
const rulesPolicy = `cn=rules,cn=policies,${accountsSuffix}`;

/** Expired by the server's own policy: without and with a sign-in left, and to be changed. */
const ownAccounts: readonly (readonly [username: string, attributes: Record<string, string>])[] = [
  ['own-expired', { pwdpolicysubentry: agingPolicy, passwordExpirationTime: '20200101000000Z' }],
  ['own-grace', { pwdpolicysubentry: gracePolicy, passwordExpirationTime: '20200101000000Z' }],
  ['own-patient', { pwdpolicysubentry: patientPolicy, passwordExpirationTime: '20200101000000Z' }],
  ['own-mustchange', { pwdpolicysubentry: mustChangePolicy, passwordExpirationTime: '19700101000000Z' }],
  ['own-rules', { pwdpolicysubentry: rulesPolicy, passwordExpirationTime: '19700101000000Z' }],
];

/** For `ldapadd` as the Directory Manager: the memberOf plug-in fills in memberOf. */
export function accountEntries(): string {
  const aci = (text: string): string => `(targetattr != "userPassword")(version 3.0; acl "vratar"; ${text};)`;
  return [
    ...['accounts', 'policies'].map((cn) =>
      entry(`cn=${cn},${accountsSuffix}`, { objectClass: 'nsContainer', cn }),
    ),
    ...['users', 'groups'].map((cn) =>
      entry(`cn=${cn},cn=accounts,${accountsSuffix}`, {
        objectClass: 'nsContainer',
        cn,
        aci: [
          aci(`allow (read, search, compare) userdn = "ldap:///${serviceOfAccounts.dn}"`),
          // As FreeIPA has it.
          '(targetattr = "userPassword")(version 3.0; acl "own password"; allow (write) userdn = "ldap:///self";)',
        ],
      }),
    ),
    policy(agingPolicy, { passwordExp: 'on', passwordMaxAge: '86400' }),
    policy(gracePolicy, { passwordExp: 'on', passwordMaxAge: '86400', passwordGraceLimit: '1' }),
    policy(patientPolicy, { passwordExp: 'on', passwordMaxAge: '86400', passwordGraceLimit: '9' }),
    policy(mustChangePolicy, { passwordMustChange: 'on' }),
    policy(rulesPolicy, {
      passwordMustChange: 'on',
      passwordCheckSyntax: 'on',
      passwordMinLength: '12',
      passwordHistory: 'on',
      passwordInHistory: '3',
    }),
    entry(serviceOfAccounts.dn, {
      objectClass: ['applicationProcess', 'simpleSecurityObject'],
      cn: 'vratar',
      userPassword: serviceOfAccounts.password,
    }),
    ...accounts.map((account) => person(account, ipaAttributes[account.state])),
    ...ownAccounts.map(([username, attributes]) =>
      person(
        {
          username,
          password: `${username}-Passw0rd`,
          givenName: username,
          familyName: 'Test',
          email: `${username}@example.test`,
          state: 'normal',
        },
        attributes,
      ),
    ),
    // In FreeIPA memberOf names permissions as well, here one that is called like a group.
    entry(`cn=permissions,${accountsSuffix}`, { objectClass: 'nsContainer', cn: 'permissions' }),
    entry(`cn=administrators,cn=permissions,${accountsSuffix}`, {
      objectClass: ['groupOfNames', 'nsMemberOf'],
      cn: 'administrators',
      member: accountOfUsers('anna'),
    }),
    // The innermost last: the plug-in climbs once, from whoever gets members, instead of once per group.
    ...accountGroups.toReversed().map(({ name, accounts: people = [], groups = [] }) =>
      entry(groupOfAccounts(name), {
        objectClass: ['groupOfNames', 'nsMemberOf'],
        cn: name,
        member: [...people.map(accountOfUsers), ...groups.map(groupOfAccounts)],
      }),
    ),
    `dn: ${groupOfAccounts(loop.group)}\nchangetype: modify\nadd: member\nmember: ${groupOfAccounts(loop.member)}\n`,
  ].join('\n');
}

function person(
  { username, alias, password, givenName, familyName, email, principal }: Account,
  more: Readonly<Record<string, string>>,
): string {
  return entry(accountOfUsers(username), {
    objectClass: ['inetOrgPerson', 'krbPrincipalAux', 'krbTicketPolicyAux', 'ipaObject', 'nsMemberOf'],
    uid: alias === undefined ? username : [alias, username],
    cn: `${givenName} ${familyName}`,
    sn: familyName,
    givenName,
    displayName: `${givenName} ${familyName}`,
    mail: email,
    ...(principal === undefined ? {} : { krbPrincipalName: principal }),
    userPassword: password,
    // One without, as in a directory that was FreeIPA only later.
    ...(username === 'leaver' ? {} : { ipaUniqueID: uniqueId(username) }),
    ...more,
  });
}

/** Looks like a UUID and is different for everybody. */
function uniqueId(username: string): string {
  const hex = Buffer.from(username).toString('hex').padEnd(32, '0').slice(0, 32);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function policy(dn: string, attributes: Readonly<Record<string, string>>): string {
  return entry(dn, {
    objectClass: ['ldapsubentry', 'passwordpolicy', 'extensibleObject'],
    cn: /^cn=([^,]+)/.exec(dn)?.[1] ?? '',
    ...attributes,
  });
}

/** The people and groups every test directory holds, and their LDIF. */
import { createHash, randomBytes } from 'node:crypto';

export const suffix = 'dc=example,dc=test';
export const peopleBase = `ou=people,${suffix}`;
export const groupsBase = `ou=groups,${suffix}`;
export const policiesBase = `ou=policies,${suffix}`;
export const service = { dn: `cn=vratar,${suffix}`, password: 'vratar-password' } as const;
export const administrator = { dn: `cn=admin,${suffix}`, password: 'admin-password' } as const;

export interface PersonEntry {
  readonly uid: string;
  /** Default `uid=<uid>,ou=people,…`. */
  readonly dn?: string;
  readonly password: string;
  readonly givenName?: string;
  readonly sn?: string;
  readonly displayName?: string;
  readonly mail?: string;
  /** Further attributes, also operational ones. */
  readonly attributes?: Readonly<Record<string, string | readonly string[]>>;
}

export interface GroupEntry {
  readonly name: string;
  /** Members: people by `uid`, groups by name, anything else by DN. */
  readonly people?: readonly string[];
  readonly groups?: readonly string[];
  readonly dns?: readonly string[];
}

export const personDn = (uid: string): string => `uid=${escapeRdn(uid)},${peopleBase}`;
export const groupDn = (name: string): string => `cn=${escapeRdn(name)},${groupsBase}`;

/** Passwords are `<uid>-password` except where a test needs another one. */
export const defaultPeople: readonly PersonEntry[] = [
  {
    uid: 'alice',
    password: 'alice-password',
    givenName: 'Alice',
    sn: 'Adams',
    displayName: 'Alice Adams',
    mail: 'alice@example.test',
    attributes: { departmentNumber: ['Research', 'Archive'], telephoneNumber: '+385 1 555 0100' },
  },
  { uid: 'bob', password: 'bob-password', givenName: 'Bob', sn: 'Brown', mail: 'bob@example.test' },
  {
    uid: 'ivan',
    password: 'пароль-Ивана',
    givenName: 'Иван',
    sn: 'Петров',
    displayName: 'Иван Петров',
    mail: 'ivan@example.test',
  },
  // One account name and one address, two entries: must be refused, never "the first one".
  { uid: 'twin', dn: `cn=Twin One,${peopleBase}`, password: 'twin-password', mail: 'twin@example.test' },
  { uid: 'twin', dn: `cn=Twin Two,${peopleBase}`, password: 'twin-password', mail: 'twin@example.test' },
  // The value means "locked until an administrator unlocks it" (draft-behera-ldap-password-policy section 5.3.3).
  { uid: 'locked', password: 'locked-password', attributes: { pwdAccountLockedTime: '000001010000Z' } },
  { uid: 'mustchange', password: 'mustchange-password', attributes: { pwdReset: 'TRUE' } },
  {
    uid: 'expired',
    password: 'expired-password',
    attributes: { pwdChangedTime: '20200101000000Z', pwdPolicySubentry: `cn=aging,${policiesBase}` },
  },
  {
    uid: 'grace',
    password: 'grace-password',
    attributes: { pwdChangedTime: '20200101000000Z', pwdPolicySubentry: `cn=grace,${policiesBase}` },
  },
  // Three wrong passwords lock this one.
  {
    uid: 'lockable',
    password: 'lockable-password',
    attributes: { pwdPolicySubentry: `cn=strict,${policiesBase}` },
  },
];

/** alice and ivan are staff; staff are employees; employees are everyone. loop-a and loop-b contain each other. */
export const defaultGroups: readonly GroupEntry[] = [
  { name: 'staff', people: ['alice', 'ivan'] },
  { name: 'employees', groups: ['staff'], people: ['bob'] },
  { name: 'everyone', groups: ['employees'] },
  { name: 'admins', people: ['alice'] },
  { name: 'loop-a', people: ['bob'], groups: ['loop-b'] },
  { name: 'loop-b', groups: ['loop-a'] },
];

export interface Bulk {
  /** People `u000000`, `u000001`, … with the password `password-<number>`, six digits. */
  readonly people: number;
  /** Person n is in `team-<n mod teams>`, ten teams make a `division-<n>`, all divisions make the `company`. */
  readonly teams: number;
}

export function bulkEntries(bulk: Bulk): { people: PersonEntry[]; groups: GroupEntry[] } {
  const number = (n: number) => String(n).padStart(6, '0');
  const people: PersonEntry[] = [];
  const members: string[][] = Array.from({ length: bulk.teams }, () => []);
  for (let n = 0; n < bulk.people; n++) {
    const uid = `u${number(n)}`;
    const cyrillic = n % 3 === 0;
    people.push({
      uid,
      password: `password-${number(n)}`,
      givenName: cyrillic ? 'Пользователь' : 'Person',
      sn: number(n),
      displayName: cyrillic ? `Пользователь ${number(n)}` : `Person ${number(n)}`,
      mail: `${uid}@example.test`,
    });
    members[n % bulk.teams]?.push(uid);
  }
  const groups: GroupEntry[] = members.map((uids, n) => ({ name: `team-${n}`, people: uids }));
  const divisions = Math.ceil(bulk.teams / 10);
  for (let d = 0; d < divisions; d++) {
    const teams = groups.slice(d * 10, Math.min(bulk.teams, d * 10 + 10)).map((group) => group.name);
    groups.push({ name: `division-${d}`, groups: teams });
  }
  groups.push({ name: 'company', groups: Array.from({ length: divisions }, (_, d) => `division-${d}`) });
  return { people, groups };
}

/** LDIF for slapadd. `memberOf` is written too, because slapadd runs no overlay. */
export function toLdif(people: readonly PersonEntry[], groups: readonly GroupEntry[]): string {
  const memberOf = new Map<string, string[]>();
  const groupEntries = groups.map((group) => {
    const members = [
      ...(group.people ?? []).map(personDn),
      ...(group.groups ?? []).map(groupDn),
      ...(group.dns ?? []),
    ];
    for (const member of members) {
      const list = memberOf.get(member);
      if (list === undefined) memberOf.set(member, [groupDn(group.name)]);
      else list.push(groupDn(group.name));
    }
    return { dn: groupDn(group.name), name: group.name, members };
  });
  const chunks = [
    entry(suffix, { objectClass: ['dcObject', 'organization'], dc: 'example', o: 'Example' }),
    ...['people', 'groups', 'policies'].map((ou) =>
      entry(`ou=${ou},${suffix}`, { objectClass: 'organizationalUnit', ou }),
    ),
    entry(service.dn, {
      objectClass: ['applicationProcess', 'simpleSecurityObject'],
      cn: 'vratar',
      userPassword: hashPassword(service.password),
    }),
    policy('default', { pwdMustChange: 'TRUE' }),
    policy('aging', { pwdMaxAge: '3600' }),
    policy('grace', { pwdMaxAge: '3600', pwdGraceAuthNLimit: '1' }),
    policy('patient', { pwdMaxAge: '3600', pwdGraceAuthNLimit: '9' }),
    policy('rules', { pwdMustChange: 'TRUE', pwdCheckQuality: '2', pwdMinLength: '12', pwdInHistory: '3' }),
    policy('slow', { pwdMaxAge: '3600', pwdGraceAuthNLimit: '9', pwdMinAge: '7200' }),
    policy('fixed', { pwdMustChange: 'TRUE', pwdAllowUserChange: 'FALSE' }),
    policy('strict', { pwdLockout: 'TRUE', pwdMaxFailure: '3', pwdLockoutDuration: '0' }),
  ];
  for (const person of people) {
    const dn = person.dn ?? personDn(person.uid);
    const commonName = /^cn=([^,]+)/.exec(dn)?.[1] ?? person.displayName ?? person.uid;
    chunks.push(
      entry(dn, {
        objectClass: 'inetOrgPerson',
        uid: person.uid,
        cn: commonName,
        sn: person.sn ?? person.uid,
        ...(person.givenName === undefined ? {} : { givenName: person.givenName }),
        ...(person.displayName === undefined ? {} : { displayName: person.displayName }),
        ...(person.mail === undefined ? {} : { mail: person.mail }),
        userPassword: hashPassword(person.password),
        ...(memberOf.has(dn) ? { memberOf: memberOf.get(dn) ?? [] } : {}),
        ...person.attributes,
      }),
    );
  }
  for (const group of groupEntries) {
    // groupOfNames must have a member (RFC 4519 section 3.5).
    const member = group.members.length > 0 ? group.members : [service.dn];
    const upper = memberOf.get(group.dn);
    chunks.push(
      entry(group.dn, {
        objectClass: 'groupOfNames',
        cn: group.name,
        member,
        ...(upper === undefined ? {} : { memberOf: upper }),
      }),
    );
  }
  return chunks.join('\n');
}

function policy(name: string, attributes: Record<string, string>): string {
  return entry(`cn=${name},${policiesBase}`, {
    objectClass: ['applicationProcess', 'pwdPolicy'],
    cn: name,
    pwdAttribute: 'userPassword',
    ...attributes,
  });
}

/** RFC 4514 section 2.4. */
export function escapeRdn(value: string): string {
  return value.replaceAll(/[,+"\\<>;=]|^[# ]| $/g, '\\$&');
}

/** Values in base64 (RFC 2849): no thought about leading blanks, colons or Cyrillic. */
export function entry(dn: string, attributes: Readonly<Record<string, string | readonly string[]>>): string {
  let text = `dn:: ${Buffer.from(dn).toString('base64')}\n`;
  for (const [name, value] of Object.entries(attributes)) {
    for (const one of typeof value === 'string' ? [value] : value) {
      text += `${name}:: ${Buffer.from(one).toString('base64')}\n`;
    }
  }
  return text;
}

/** {SSHA}: nearly free to check, so that tests and benchmarks measure the client. */
function hashPassword(password: string): string {
  const salt = randomBytes(8);
  const digest = createHash('sha1').update(password).update(salt).digest();
  return `{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`;
}

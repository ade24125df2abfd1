/** The people and groups of the corpus, as a real directory holds them. The right password of all but ivan is `right`. */
import { directoryConfig, type Slapd, type SlapdOptions, startSlapd } from '#test/servers/slapd.ts';
import { type GroupEntry, groupsBase, type PersonEntry, peopleBase } from '#test/servers/slapd-data.ts';

export const rightPassword = 'right';
export const ivansPassword = 'парольЯ1!';

export const passwordOf = (username: string): string => (username === 'ivan' ? ivansPassword : rightPassword);

/** A name of 40 characters for the n-th of mega's groups. */
export const megaGroup = (n: number): string => `g${n}`.padEnd(40, '-');

function person(uid: string, more: Partial<PersonEntry> = {}): PersonEntry {
  return {
    uid,
    password: passwordOf(uid),
    mail: `${uid}@example.test`,
    displayName: `Name of ${uid}`,
    ...more,
  };
}

const withoutMail: PersonEntry = { uid: 'nomail', password: rightPassword, displayName: 'Without mail' };

const people: readonly PersonEntry[] = [
  person('alice'),
  person('bob'),
  person('root1'),
  person('eve'),
  person('ivan', { givenName: 'Иван', sn: 'Петров', displayName: 'Иван Петров' }),
  withoutMail,
  person('nogroups'),
  person('mega'),
  person('mega2'),
  person('deep'),
  person('loopy'),
  person('smith'),
  // The value means "locked until an administrator unlocks it" (draft-behera-ldap-password-policy section 5.3.3).
  person('dis', { attributes: { pwdAccountLockedTime: '000001010000Z' } }),
];

const staff = ['alice', 'bob', 'root1', 'eve', 'ivan', 'nomail', 'mega', 'mega2', 'dis'];

/** With `staff` mega is in 2000 groups. */
const megaGroups: readonly GroupEntry[] = Array.from({ length: 1_999 }, (_, i) => ({
  name: megaGroup(i + 1),
  people: ['mega', 'mega2'],
}));

const groups: readonly GroupEntry[] = [
  { name: 'staff', people: staff },
  { name: 'editors', people: ['bob'] },
  { name: 'admins', people: ['root1'] },
  { name: 'loop-a', people: ['loopy'], groups: ['loop-b'] },
  { name: 'loop-b', groups: ['loop-a'] },
];

/** `smith` is in one group whose name has a comma; its DN escapes it (RFC 4514 section 2.4). */
const commaGroup = `dn: cn=Smith\\, John friends,${groupsBase}
changetype: add
objectClass: groupOfNames
cn: Smith, John friends
member: uid=smith,${peopleBase}
`;

/** `lean`: without the two thousand groups. */
export async function startCorpusDirectory(
  options: SlapdOptions & { readonly lean?: boolean } = {},
): Promise<Slapd> {
  const { lean = false, ...more } = options;
  const slapd = await startSlapd({
    onlyThese: true,
    globalLines: ['sizelimit unlimited'],
    ...more,
    people: [...people, ...(options.people ?? [])],
    groups: [...groups, ...(lean ? [] : megaGroups), ...(options.groups ?? [])],
  });
  await slapd.modify(commaGroup);
  return slapd;
}

/** Options of the directory `corp` on these servers. */
export function directoryOptions(
  servers: readonly string[],
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return directoryConfig(servers, {
    // People may type their address instead of their name.
    users: {
      baseDn: peopleBase,
      filter: '(&(objectClass=inetOrgPerson)(|(uid=%USERNAME%)(mail=%USERNAME%)))',
    },
    ...more,
  });
}

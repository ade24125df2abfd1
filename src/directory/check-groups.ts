/** The part of a check about groups: where they are, whether they have names, and whether all of them are told. */

import { baseSearch, exists, find, isLimit } from './check-people.ts';
import type { LdapConnection } from './connection.ts';
import { type LdapEntry, readBytes, readValue, readValues } from './entry.ts';
import { allOf, isPresent } from './filter.ts';
import type { Report } from './finding.ts';
import type { GroupSettings, PeopleSettings } from './kinds.ts';

/** More groups than anybody is in; servers that answer with so many cut nobody's list. */
const enoughGroups = 5_000;

/** `person`: somebody the users' filter finds. */
export async function checkGroups(
  connection: LdapConnection,
  person: LdapEntry | undefined,
  settings: PeopleSettings,
  report: Report,
): Promise<void> {
  const { groups } = settings;
  if (groups === undefined) return;
  const { baseDn } = groups;
  if (baseDn !== undefined && !(await exists(connection, baseDn))) {
    report({
      code: 'groups-base-missing',
      level: 'problem',
      path: ['groups', 'baseDn'],
      message: `groups.baseDn ${baseDn} does not exist or is not readable; correct it or grant read access.`,
    });
    return;
  }
  if (groups.method === 'search') await checkSearch(connection, baseDn ?? '', groups, report);
  else if (person === undefined) return;
  else if (groups.method === 'tokenGroups') await checkTokenGroups(connection, person.dn, report);
  else await checkUserAttribute(connection, person, settings, groups.userAttribute, report);
}

async function checkSearch(
  connection: LdapConnection,
  baseDn: string,
  { filter, nameAttribute }: GroupSettings,
  report: Report,
): Promise<void> {
  const anyMember = filter.forAnyName.encode({});
  const [group] = await find(connection, baseDn, anyMember, [nameAttribute]);
  if (group === undefined) {
    report({
      code: 'groups-not-found',
      level: 'warning',
      path: ['groups', 'filter'],
      message: `No group below ${baseDn} that has members matches groups.filter, so nobody is in any; correct groups.baseDn or groups.filter, or grant read access.`,
    });
    return;
  }
  if (readValue(group, nameAttribute) === undefined) {
    report({
      code: 'group-name-unreadable',
      level: 'warning',
      path: ['groups', 'nameAttribute'],
      message: `The group ${group.dn} has no readable ${nameAttribute}, so rules find it by DN only; correct groups.nameAttribute or grant read access.`,
    });
  }
  const all = { baseDn, scope: 'sub', filter: anyMember, attributes: ['1.1'] } as const;
  const { length } = await connection.search({ ...all, sizeLimit: enoughGroups });
  if (length >= enoughGroups || !(await isCut(async () => await connection.search({ ...all, sizeLimit: 0 }))))
    return;
  report({
    code: 'size-limit-low',
    level: 'warning',
    path: ['bind'],
    message: `The server cuts answers to the service account after ${length} entries, so whoever is in more groups cannot sign in; raise its size limit for that account.`,
  });
}

async function isCut(search: () => Promise<unknown>): Promise<boolean> {
  try {
    await search();
    return false;
  } catch (error) {
    if (isLimit(error)) return true;
    throw error;
  }
}

async function checkUserAttribute(
  connection: LdapConnection,
  person: LdapEntry,
  { filter, baseDn }: PeopleSettings,
  attribute: string,
  report: Report,
): Promise<void> {
  if (readValues(person, attribute).length > 0) return;
  const anybody = allOf([filter.forAnyName.encode({}), isPresent(attribute)]);
  const [member] = await find(connection, baseDn, anybody, [attribute]);
  if (member !== undefined && readValues(member, attribute).length > 0) return;
  report({
    code: 'groups-unreadable',
    level: 'warning',
    path: ['groups', 'userAttribute'],
    message: `Nobody below users.baseDn has a readable ${attribute}, so nobody is in any group; grant read access, enable the server's memberOf overlay, or use method search.`,
  });
}

async function checkTokenGroups(connection: LdapConnection, dn: string, report: Report): Promise<void> {
  const [person] = await connection.search(baseSearch(dn, ['tokenGroups']));
  // Everybody is in a primary group at least.
  if (person !== undefined && readBytes(person, 'tokenGroups').length > 0) return;
  report({
    code: 'groups-unreadable',
    level: 'problem',
    path: ['groups', 'method'],
    message: `${dn} has no readable tokenGroups; add the service account to "Windows Authorization Access Group", or use method userAttribute.`,
  });
}

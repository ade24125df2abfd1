/** The part of a check about people: where they are, whether they are found, and whether enough of them can be read. */
import { type LdapConnection, type SearchRequest } from './connection.ts';
import { type LdapEntry, readValue, readValues } from './entry.ts';
import { LdapFailure } from './failures.ts';
import { type EncodedFilter, isComparable, isPresent } from './filter.ts';
import type { Report } from './finding.ts';
import type { PeopleSettings } from './kinds.ts';
import { hasStableId } from './stable-id.ts';

export const anything = isPresent('objectClass');

/** timeLimitExceeded, sizeLimitExceeded, adminLimitExceeded: the server does not want to look that far. */
const limits: ReadonlySet<number | undefined> = new Set([3, 4, 11]);

export interface PeopleCheck {
  readonly report: Report;
  readonly hasPolicy: boolean;
  /** Given the first few people the directory names, for whoever wants to see them. */
  readonly onPeople?: ((people: readonly LdapEntry[]) => void) | undefined;
}

const peopleShown = 5;

/** What the directory may tell of a whole, in numbers small enough for a look: `undefined` when there is nobody. */
export async function checkPeople(
  connection: LdapConnection,
  settings: PeopleSettings,
  { report, hasPolicy, onPeople }: PeopleCheck,
): Promise<LdapEntry | undefined> {
  // Such directories may not be searched: until somebody signs in there is nothing to look at.
  if (settings.dnTemplate !== undefined) return undefined;
  if (!(await exists(connection, settings.baseDn))) {
    report({
      code: 'users-base-missing',
      level: 'problem',
      path: ['users', 'baseDn'],
      message: `users.baseDn ${settings.baseDn} does not exist or is not readable; correct it or grant read access${await served(connection)}.`,
    });
    return undefined;
  }
  const { filter, baseDn, requestedAttributes } = settings;
  const anybody = filter.forAnyName.encode({});
  const people = await find(connection, baseDn, anybody, requestedAttributes, onPeople && peopleShown);
  onPeople?.(people);
  const [person] = people;
  if (person === undefined) {
    report({
      code: 'users-filter-matches-nobody',
      level: 'problem',
      path: ['users', 'filter'],
      message: await whyNobody(connection, settings),
    });
    return undefined;
  }
  checkEntry(person, settings, report);
  if (hasPolicy) await checkStatus(connection, person.dn, settings, report);
  return person;
}

/** A part that asks what somebody is not holds for nobody when its attribute may not be read. */
async function whyNobody(connection: LdapConnection, { filter, baseDn }: PeopleSettings): Promise<string> {
  const positive = filter.withoutNegations.forAnyName.encode({});
  const [somebody] =
    filter.negatedAttributes.length === 0 ? [] : await find(connection, baseDn, positive, ['1.1']);
  const hidden =
    somebody === undefined ? [] : await incomparable(connection, somebody.dn, filter.negatedAttributes);
  return hidden.length === 0
    ? 'users.filter matches nobody; correct it, or let the service account read the attributes it compares.'
    : `users.filter matches nobody because the server does not compare ${hidden.join(' and ')} for the service account; grant read access, or leave that part out of the filter.`;
}

function checkEntry(person: LdapEntry, settings: PeopleSettings, report: Report): void {
  const { username } = settings.attributes;
  if (readValue(person, username) === undefined) {
    report({
      code: 'username-unreadable',
      level: 'problem',
      path: ['users', 'attributes', 'username'],
      message: `${person.dn} has no readable ${username}; correct users.attributes.username or grant read access.`,
    });
  }
  const { everyAccountHas } = settings.status;
  if (everyAccountHas !== undefined && readValue(person, everyAccountHas) === undefined) {
    report(statusUnreadable([everyAccountHas], person.dn, 'problem'));
  }
  if (!hasStableId(person, settings.idAttributes)) {
    report({
      code: 'stable-id-unreadable',
      level: 'warning',
      path: ['users', 'idAttribute'],
      message: `${person.dn} has no readable ${settings.idAttributes.join(' or ')}, so a renamed person counts as another one; grant read access.`,
    });
  }
}

/** Most people lack these attributes, so an entry without them says nothing; a comparison that fails both ways does. */
async function checkStatus(
  connection: LdapConnection,
  dn: string,
  { status }: PeopleSettings,
  report: Report,
): Promise<void> {
  const { lockAttributes = [], expiryAttributes = [] } = status;
  const locks = await incomparable(connection, dn, lockAttributes);
  if (locks.length > 0) report(statusUnreadable(locks, dn, 'problem'));
  const expiries = await incomparable(connection, dn, expiryAttributes);
  if (expiries.length > 0) report(statusUnreadable(expiries, dn, 'warning'));
}

function statusUnreadable(
  attributes: readonly string[],
  dn: string,
  level: 'problem' | 'warning',
): Parameters<Report>[0] {
  const state = level === 'problem' ? 'disabled or locked' : 'whose password or account expires';
  return {
    code: 'status-unreadable',
    level,
    path: ['bind'],
    message: `The service account cannot read ${attributes.join(' and ')} of ${dn}, so people ${state} later keep their sessions; grant read access.`,
  };
}

/** Of the attributes those that the server does not compare for us: hidden, or unknown to it. */
async function incomparable(
  connection: LdapConnection,
  dn: string,
  attributes: readonly string[],
): Promise<readonly string[]> {
  const hidden: string[] = [];
  for (const attribute of attributes) {
    const request = { ...baseSearch(dn, ['1.1']), filter: isComparable(attribute) };
    if ((await connection.search(request)).length === 0) hidden.push(attribute);
  }
  return hidden;
}

/** Where the server does hold something, told by its root DSE (RFC 4512 section 5.1). */
async function served(connection: LdapConnection): Promise<string> {
  const [root] = await connection.search(baseSearch('', ['namingContexts', 'defaultNamingContext']));
  if (root === undefined) return '';
  const [main] = readValues(root, 'defaultNamingContext');
  const contexts = main === undefined ? readValues(root, 'namingContexts') : [main];
  return contexts.length === 0 ? '' : ` (the server holds ${contexts.join(' and ')})`;
}

/** At most `sizeLimit`; none also when the server gave up before it found one. */
export async function find(
  connection: LdapConnection,
  baseDn: string,
  filter: EncodedFilter,
  attributes: readonly string[],
  sizeLimit = 1,
): Promise<LdapEntry[]> {
  try {
    return await connection.search({ baseDn, scope: 'sub', filter, attributes, sizeLimit });
  } catch (error) {
    if (isLimit(error)) return [];
    throw error;
  }
}

export async function exists(connection: LdapConnection, dn: string): Promise<boolean> {
  try {
    return (await connection.search(baseSearch(dn, ['1.1']))).length === 1;
  } catch (error) {
    // A DN that is none, or nothing there.
    if (error instanceof LdapFailure && error.resultCode !== undefined && error.kind === 'config')
      return false;
    throw error;
  }
}

export function baseSearch(baseDn: string, attributes: readonly string[]): SearchRequest {
  return { baseDn, scope: 'base', filter: anything, attributes, sizeLimit: 1 };
}

export function isLimit(error: unknown): boolean {
  return error instanceof LdapFailure && limits.has(error.resultCode);
}

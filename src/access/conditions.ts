/** What a rule asks of a principal, compiled to a predicate. All conditions must hold; inside a list any entry is enough. */
import { looksLikeDn, normalizeDn } from '../identity/distinguished-name.ts';
import { foldGroupName, type Group } from '../identity/group.ts';
import { accessLevels, type Principal } from '../identity/principal.ts';
import type { AccessConditions } from './options.ts';

export type PrincipalPredicate = (principal: Principal) => boolean;

export interface CompiledConditions {
  readonly holds: PrincipalPredicate;
  /** The first condition that does not hold, for explanations: `groups`, `roles`, … */
  readonly failing: (principal: Principal) => keyof AccessConditions | undefined;
}

export function compileConditions(conditions: AccessConditions): CompiledConditions {
  const predicates: (readonly [keyof AccessConditions, PrincipalPredicate])[] = [];
  const { users, groups, roles, providers, accessLevel } = conditions;
  if (users !== undefined) predicates.push(['users', anyOf(users.map(compileUser))]);
  if (groups !== undefined) predicates.push(['groups', compileGroups(groups)]);
  if (roles !== undefined)
    predicates.push(['roles', ({ roles: held }) => roles.some((role) => held.includes(role))]);
  if (providers !== undefined) predicates.push(['providers', ({ provider }) => providers.includes(provider)]);
  if (accessLevel !== undefined) {
    const least = accessLevels.indexOf(accessLevel);
    predicates.push(['accessLevel', (principal) => accessLevels.indexOf(principal.accessLevel) >= least]);
  }
  return {
    holds: (principal) => predicates.every(([, predicate]) => predicate(principal)),
    failing: (principal) => predicates.find(([, predicate]) => !predicate(principal))?.[0],
  };
}

/** `name` or `provider:name`; account names compare without case, as directories do. */
export function compileUser(entry: string): PrincipalPredicate {
  const colon = entry.indexOf(':');
  const provider = colon < 0 ? undefined : entry.slice(0, colon);
  const username = fold(entry.slice(colon + 1));
  return (principal) =>
    (provider === undefined || principal.provider === provider) && fold(principal.username) === username;
}

/** A name matches in any directory, `directory:name` in one, a DN exactly one entry. */
export function compileGroups(entries: readonly string[]): PrincipalPredicate {
  const matchers = entries.map(compileGroup);
  return ({ groups }) => groups.some((group) => matchers.some((matches) => matches(group)));
}

function compileGroup(entry: string): (group: Group) => boolean {
  if (looksLikeDn(entry)) {
    const dn = normalizeDn(entry);
    return (group) => group.foldedDn === dn;
  }
  const colon = entry.indexOf(':');
  if (colon < 0) {
    const name = foldGroupName(entry);
    return (group) => group.foldedName === name;
  }
  const directory = entry.slice(0, colon);
  const name = foldGroupName(entry.slice(colon + 1));
  return (group) => group.directory === directory && group.foldedName === name;
}

function anyOf(predicates: readonly PrincipalPredicate[]): PrincipalPredicate {
  return (principal) => predicates.some((predicate) => predicate(principal));
}

function fold(username: string): string {
  return username.normalize('NFC').toLowerCase();
}

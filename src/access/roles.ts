/** Mapping rules: what the gateway grants on top of what the provider said, at sign-in and at every refresh. */
import { looksLikeDn } from '../identity/distinguished-name.ts';
import type { Group, GroupTable } from '../identity/group.ts';
import { accessLevels, type Principal } from '../identity/principal.ts';
import { compileGroups, compileUser, type PrincipalPredicate } from './conditions.ts';
import type { RoleOptions } from './options.ts';

export type RoleMapping = (principal: Principal) => Principal;

/** Every rule sees the principal as the provider gave it: grants of one rule never trigger another. */
export function compileRoles(options: readonly RoleOptions[], groupTable: GroupTable): RoleMapping {
  const rules = options.map(({ when, grant }) => ({
    applies: compileWhen(when),
    grant,
    groups: grant.groups.map((name) => groupTable.intern(name, looksLikeDn(name) ? name : undefined)),
  }));
  if (rules.length === 0) return (principal) => principal;
  return (principal) => {
    const applying = rules.filter(({ applies }) => applies(principal));
    if (applying.length === 0) return principal;
    return {
      ...principal,
      roles: [...new Set([...principal.roles, ...applying.flatMap(({ grant }) => grant.roles)])],
      groups: [...new Set<Group>([...principal.groups, ...applying.flatMap(({ groups }) => groups)])],
      accessLevel: highest([
        principal.accessLevel,
        ...applying.map(({ grant }) => grant.accessLevel ?? 'user'),
      ]),
    };
  };
}

function compileWhen(when: RoleOptions['when']): PrincipalPredicate {
  const predicates: PrincipalPredicate[] = [];
  const { provider, group, user } = when;
  if (provider !== undefined) predicates.push((principal) => principal.provider === provider);
  if (group !== undefined) predicates.push(compileGroups([group]));
  if (user !== undefined) predicates.push(compileUser(user));
  return (principal) => predicates.every((predicate) => predicate(principal));
}

function highest(levels: readonly Principal['accessLevel'][]): Principal['accessLevel'] {
  return levels.reduce((best, level) =>
    accessLevels.indexOf(level) > accessLevels.indexOf(best) ? level : best,
  );
}

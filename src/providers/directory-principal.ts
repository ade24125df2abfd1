/** The principal of somebody found in a directory. Roles and access level come from the mapping rules. */
import type { DirectoryPerson } from '../directory/directory.ts';
import type { Principal } from '../identity/principal.ts';

export function toPrincipal(provider: string, person: DirectoryPerson): Principal {
  return {
    provider,
    subject: person.id,
    username: person.username,
    email: person.email,
    displayName: person.displayName,
    givenName: person.givenName,
    familyName: person.familyName,
    groups: person.groups,
    roles: [],
    accessLevel: 'user',
    attributes: person.attributes,
  };
}

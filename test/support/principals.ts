/** Principals for tests: everything that a test does not name has a plain default. */
import type { Principal } from '#src/identity/principal.ts';

export function principalOf(facts: Partial<Principal> = {}): Principal {
  const username = facts.username ?? 'alice';
  return {
    provider: 'corp',
    subject: `id-${username}`,
    username,
    email: `${username}@example.test`,
    displayName: username,
    givenName: undefined,
    familyName: undefined,
    groups: [],
    roles: [],
    accessLevel: 'user',
    attributes: {},
    ...facts,
  };
}

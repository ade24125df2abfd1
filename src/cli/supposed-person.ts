/** The person an explanation is about, put together from the command line and the configuration: no provider is asked. */
import { compileRoles } from '../access/roles.ts';
import type { Config } from '../config/schema.ts';
import { looksLikeDn } from '../identity/distinguished-name.ts';
import { type Group, GroupTable } from '../identity/group.ts';
import { type AccessLevel, accessLevels, type Principal } from '../identity/principal.ts';

export interface PersonOptions {
  readonly user?: string | undefined;
  /** Omitted: the first provider that lists the account, else the first one. */
  readonly provider?: string | undefined;
  /** Names, `directory:name` or DNs. Omitted: those of the account, where the configuration holds it. */
  readonly groups?: readonly string[] | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly accessLevel?: string | undefined;
}

/** `undefined`: an anonymous request. Throws a RangeError that says what cannot be meant. */
export function supposedPerson(options: PersonOptions, config: Config): Principal | undefined {
  const { user, provider: named, roles = [], accessLevel = 'user' } = options;
  if (user === undefined) {
    const given = Object.entries(options).find(([, value]) => value !== undefined);
    if (given !== undefined) throw new RangeError(`--${dashed(given[0])} needs --user`);
    return undefined;
  }
  if (!isAccessLevel(accessLevel)) throw new RangeError(`--access-level is ${accessLevels.join(', ')}`);
  const provider = named ?? providerOf(user, config);
  if (!config.providers.some(({ name }) => name === provider)) {
    throw new RangeError(`no provider is named "${provider}"`);
  }
  const table = new GroupTable();
  const account = localAccount(provider, user, config);
  const groups = options.groups ?? account?.groups ?? [];
  const grantRoles = compileRoles(config.roles, table);
  return grantRoles({
    provider,
    subject: user,
    username: account?.username ?? user,
    email: account?.email,
    displayName: account?.displayName,
    givenName: undefined,
    familyName: undefined,
    groups: splitGroups(groups).map((text) => toGroup(text, table)),
    roles,
    accessLevel,
    attributes: {},
  });
}

/** `a,b` is two groups; what is written like a DN keeps its commas. */
function splitGroups(groups: readonly string[]): readonly string[] {
  return groups.flatMap((text) => (looksLikeDn(text) ? [text] : text.split(',').map((name) => name.trim())));
}

function toGroup(text: string, table: GroupTable): Group {
  if (looksLikeDn(text)) return table.intern(/=\s*([^,+]*)/.exec(text)?.[1]?.trim() ?? text, text);
  const colon = text.indexOf(':');
  return colon < 0
    ? table.intern(text)
    : table.intern(text.slice(colon + 1), undefined, text.slice(0, colon));
}

function providerOf(user: string, config: Config): string {
  const listing = config.providers.find(({ name }) => localAccount(name, user, config) !== undefined);
  const [first] = config.providers;
  if (first === undefined) throw new RangeError('no provider is configured: nobody can sign in');
  return (listing ?? first).name;
}

interface LocalAccount {
  readonly username: string;
  readonly email?: string | undefined;
  readonly displayName?: string | undefined;
  readonly groups: readonly string[];
}

function localAccount(provider: string, user: string, config: Config): LocalAccount | undefined {
  const options = config.providers.find(({ name }) => name === provider);
  if (options?.type !== 'local') return undefined;
  return options.users.find(({ username }) => username.toLowerCase() === user.toLowerCase());
}

function isAccessLevel(text: string): text is AccessLevel {
  return accessLevels.some((level) => level === text);
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

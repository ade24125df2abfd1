/** The ways to learn of memberships: searching for groups that name somebody, and reading an attribute of theirs. */
import { normalizeDn } from '../identity/distinguished-name.ts';
import type { Clock } from '../lib/clock.ts';
import type { SearchRequest } from './connection.ts';
import { type LdapEntry, readValue, readValues } from './entry.ts';
import { anyOf, type EncodedFilter, isPresent } from './filter.ts';
import type { GroupMethod } from './group-method.ts';
import type { GroupSettings } from './kinds.ts';
import { TimedCache } from './timed-cache.ts';
import { tokenGroupsSource } from './token-groups.ts';

export interface FoundGroup {
  readonly name: string;
  /** `undefined`: the directory gave a name, no entry. */
  readonly dn: string | undefined;
}

export interface Member {
  readonly dn: string;
  readonly username: string;
  readonly entry: LdapEntry;
}

export type Search = (request: SearchRequest) => Promise<LdapEntry[]>;

export interface GroupSource {
  direct(member: Member): Promise<readonly FoundGroup[]>;
  /** Groups that contain the group. */
  parents(dn: string): Promise<readonly FoundGroup[]>;
  /** Whether none of the groups is in another one: one question for many. `undefined`: must be asked one by one. */
  readonly areAllTopmost: ((dns: readonly string[]) => Promise<boolean>) | undefined;
  /** `direct` answers the nested groups as well: there is nothing to climb. */
  readonly isComplete: boolean;
}

export interface GroupMemory {
  readonly clock: Clock;
  /** How long what was learnt of groups is believed. */
  readonly ttlMs: number;
}

export const groupSources: Readonly<
  Record<GroupMethod, (settings: GroupSettings, search: Search, memory: GroupMemory) => GroupSource>
> = { search: searchSource, userAttribute: attributeSource, tokenGroups: tokenGroupsSource };

function searchSource(settings: GroupSettings, search: Search): GroupSource {
  const { baseDn = '', filter, nameAttribute } = settings;
  // Without a limit of ours a server that cuts the list says so (result 4); groups must not vanish silently.
  const find = async (encoded: EncodedFilter, attributes: readonly string[]): Promise<LdapEntry[]> =>
    await search({ baseDn, scope: 'sub', filter: encoded, attributes, sizeLimit: 0 });
  // A group has no account name: its DN stands there too, which no account name equals.
  const containing = (dn: string): EncodedFilter => filter.encode({ DN: dn, USERNAME: dn });
  const toGroups = (entries: LdapEntry[]): FoundGroup[] =>
    entries.map((entry) => ({ dn: entry.dn, name: readValue(entry, nameAttribute) ?? entry.dn }));
  return {
    direct: async ({ dn, username }) =>
      toGroups(await find(filter.encode({ DN: dn, USERNAME: username }), [nameAttribute])),
    parents: async (dn) => (filter.usesDn ? toGroups(await find(containing(dn), [nameAttribute])) : []),
    areAllTopmost: async (dns) =>
      !filter.usesDn || (await find(anyOf(dns.map(containing)), ['1.1'])).length === 0,
    isComplete: false,
  };
}

function attributeSource(
  settings: GroupSettings,
  search: Search,
  { clock, ttlMs }: GroupMemory,
): GroupSource {
  const { baseDn, nameAttribute, userAttribute, isNested } = settings;
  const names = new TimedCache<string>({ clock, ttlMs, maxEntries: 10_000 });
  const base = baseDn === undefined ? undefined : `,${normalizeDn(baseDn)}`;
  const isBelowBase = (dn: string): boolean => base === undefined || normalizeDn(dn).endsWith(base);
  const rdn = new RegExp(`^${nameAttribute}=((?:\\\\.|[^\\\\,+])+)(?=,)`, 'i');

  async function read(dn: string): Promise<LdapEntry | undefined> {
    const entries = await search({
      baseDn: dn,
      scope: 'base',
      filter: isPresent('objectClass'),
      attributes: [nameAttribute, userAttribute],
      sizeLimit: 1,
    });
    return entries[0];
  }

  async function nameOf(dn: string): Promise<string> {
    const known = names.get(dn);
    if (known !== undefined) return known;
    const entry = await read(dn);
    const name = (entry && readValue(entry, nameAttribute)) ?? dn;
    names.set(dn, name);
    return name;
  }

  async function toGroups(values: readonly string[]): Promise<FoundGroup[]> {
    return await Promise.all(
      values
        .filter((value) => !value.includes('=') || isBelowBase(value))
        .map(async (value) => {
          if (!value.includes('=')) return { name: value, dn: undefined };
          // The name usually is in the DN already; escaped characters are left to the entry.
          const name = rdn.exec(value)?.[1];
          if (name !== undefined && !name.includes('\\')) return { name, dn: value };
          return { name: await nameOf(value), dn: value };
        }),
    );
  }

  return {
    direct: async ({ entry }) => await toGroups(readValues(entry, userAttribute)),
    parents: async (dn) => {
      const entry = isNested ? await read(dn) : undefined;
      return entry === undefined ? [] : await toGroups(readValues(entry, userAttribute));
    },
    areAllTopmost: undefined,
    isComplete: settings.isAttributeComplete,
  };
}

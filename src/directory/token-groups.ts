/**
 * Groups of a person in Active Directory by `tokenGroups` (MS-ADTS section 3.1.1.4.5.19): one base search answers the
 * SIDs of every group that counts, one more turns those nobody has asked for yet into names. Measured against Samba
 * 200 times as fast as its in-chain matching rule, which also lacks the primary group.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { type LdapEntry, readBytes, readValue, readValues } from './entry.ts';
import { anyOf, equals, isPresent } from './filter.ts';
import type { FoundGroup, GroupSource, Member, Search } from './group-sources.ts';
import type { GroupSettings } from './kinds.ts';
import { TimedCache } from './timed-cache.ts';

/** Read with the person: as long as these stay, only groups within groups can have changed. */
export const membershipAttributes = ['objectSid', 'primaryGroupID', 'memberOf'] as const;

/** A SID is never given to another group; a renamed group keeps its old name for so long. */
const nameForMs = 4 * 3_600_000;
const maxNames = 50_000;
const maxPeople = 10_000;
/** Below the 1,000 entries a domain controller answers at once. */
const sidsPerQuestion = 250;

export function tokenGroupsSource(
  { baseDn = '', nameAttribute }: GroupSettings,
  search: Search,
  { clock, ttlMs }: { readonly clock: Clock; readonly ttlMs: number },
): GroupSource {
  const names = new TimedCache<FoundGroup>({
    clock,
    ttlMs: Math.max(nameForMs, ttlMs),
    maxEntries: maxNames,
  });
  /** Of other domains, outside the base, or not yet replicated: worth asking again soon. */
  const nameless = new TimedCache<true>({ clock, ttlMs, maxEntries: maxNames });
  const flights = new Map<string, Promise<FoundGroup | undefined>>();
  const memberships = new TimedCache<readonly FoundGroup[]>({ clock, ttlMs, maxEntries: maxPeople });
  const attributes = [nameAttribute, 'objectSid'];

  async function ask(sids: readonly string[]): Promise<ReadonlyMap<string, FoundGroup>> {
    const entries = await search({
      baseDn,
      scope: 'sub',
      filter: anyOf(sids.map((sid) => equals('objectSid', Buffer.from(sid, 'hex')))),
      attributes,
      sizeLimit: 0,
    });
    const found = new Map<string, FoundGroup>();
    for (const entry of entries) {
      const [sid] = readBytes(entry, 'objectSid');
      if (sid === undefined) continue;
      found.set(sid.toString('hex'), { dn: entry.dn, name: readValue(entry, nameAttribute) ?? entry.dn });
    }
    return found;
  }

  /** Several people ask for the same groups at nine o'clock: each SID is under way once. */
  function resolve(sids: readonly string[]): Promise<FoundGroup | undefined>[] {
    const unknown = sids.filter(
      (sid) => names.get(sid) === undefined && nameless.get(sid) === undefined && !flights.has(sid),
    );
    for (let at = 0; at < unknown.length; at += sidsPerQuestion) {
      const some = unknown.slice(at, at + sidsPerQuestion);
      const answer = ask(some);
      for (const sid of some) {
        const flight = answer
          .then((found) => {
            const group = found.get(sid);
            if (group === undefined) nameless.set(sid, true);
            else names.set(sid, group);
            return group;
          })
          .finally(() => flights.delete(sid));
        // Awaited by the caller; this handler only keeps a failure from being reported before that.
        flight.catch(() => undefined);
        flights.set(sid, flight);
      }
    }
    return sids.map((sid) => flights.get(sid) ?? Promise.resolve(names.get(sid)));
  }

  async function readSids(dn: string): Promise<string[]> {
    const entries = await search({
      baseDn: dn,
      scope: 'base',
      filter: isPresent('objectClass'),
      attributes: ['tokenGroups'],
      sizeLimit: 1,
    });
    const sids = entries.flatMap((entry) => readBytes(entry, 'tokenGroups'));
    return [...new Set(sids.map((sid) => sid.toString('hex')))];
  }

  async function direct({ dn, entry }: Member): Promise<readonly FoundGroup[]> {
    const key = membershipKey(dn, entry);
    const known = key === undefined ? undefined : memberships.get(key);
    if (known !== undefined) return known;
    const groups = await Promise.all(resolve(await readSids(dn)));
    const found = groups.filter((group) => group !== undefined);
    if (key !== undefined) memberships.set(key, found);
    return found;
  }

  return { direct, parents: async () => [], areAllTopmost: undefined, isComplete: true };
}

/**
 * Changes with every change of the person's own memberships. `undefined`: not to be remembered, because whoever is in
 * no group but the primary one looks like somebody whose memberOf may not be read.
 */
function membershipKey(dn: string, entry: LdapEntry): string | undefined {
  const memberOf = readValues(entry, 'memberOf');
  if (memberOf.length === 0) return undefined;
  const [sid] = readBytes(entry, 'objectSid');
  const parts = [
    dn,
    sid?.toString('hex') ?? '',
    readValue(entry, 'primaryGroupID') ?? '',
    ...memberOf.toSorted(),
  ];
  return createHash('sha256').update(parts.join('\0')).digest('base64');
}

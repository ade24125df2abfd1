/**
 * Groups of a person, direct and nested: a breadth-first walk whose steps are remembered for everybody, because a
 * thousand people of one company climb the same few groups.
 */
import { GatewayError } from '../errors.ts';
import { normalizeDn } from '../identity/distinguished-name.ts';
import type { Group, GroupTable } from '../identity/group.ts';
import type { Clock } from '../lib/clock.ts';
import { Semaphore } from '../lib/semaphore.ts';
import {
  type FoundGroup,
  type GroupSource,
  groupSources,
  type Member,
  type Search,
} from './group-sources.ts';
import type { GroupSettings } from './kinds.ts';
import { TimedCache } from './timed-cache.ts';

export interface GroupReaderOptions {
  readonly directory: string;
  readonly settings: GroupSettings;
  readonly search: Search;
  readonly groupTable: GroupTable;
  readonly clock: Clock;
  readonly ttlMs: number;
}

/** Walks leave most of the search connections' places to sign-ins. */
const searchesAtATime = 16;
const groupsPerQuestion = 50;
/** Far beyond any directory: one that always names another group above must not keep us climbing. */
const maxLevels = 200;
const maxGroups = 50_000;

export class GroupReader {
  readonly #options: GroupReaderOptions;
  readonly #source: GroupSource;
  readonly #parents: TimedCache<readonly FoundGroup[]>;
  readonly #flights = new Map<string, Promise<readonly FoundGroup[]>>();

  constructor(options: GroupReaderOptions) {
    this.#options = options;
    const places = new Semaphore(searchesAtATime);
    const search: Search = async (request) => await places.run(async () => await options.search(request));
    this.#source = groupSources[options.settings.method](options.settings, search, options);
    this.#parents = new TimedCache({ clock: options.clock, ttlMs: options.ttlMs, maxEntries: 10_000 });
  }

  /** Without duplicates, nearest first. Throws GatewayError. */
  async read(member: Member): Promise<readonly Group[]> {
    const found = new Map<string, FoundGroup>();
    let level = await this.#source.direct(member);
    for (let levels = 0; level.length > 0; levels++) {
      if (levels > maxLevels || found.size + level.length > maxGroups) throw this.#endless(member.dn);
      const climb: { key: string; dn: string }[] = [];
      for (const group of level) {
        const key = group.dn === undefined ? `name:${group.name}` : normalizeDn(group.dn);
        // Groups may contain each other: what was seen is not climbed again.
        if (found.has(key)) continue;
        found.set(key, group);
        if (group.dn !== undefined) climb.push({ key, dn: group.dn });
      }
      if (!this.#options.settings.isNested || this.#source.isComplete) break;
      level = (await this.#climb(climb)).flat();
    }
    const { groupTable, directory } = this.#options;
    return [...found.values()].map((group) => groupTable.intern(group.name, group.dn, directory));
  }

  #endless(dn: string): GatewayError {
    const { directory } = this.#options;
    return new GatewayError(
      'PROVIDER_PROTOCOL',
      `directory ${directory}: the groups of a person have no end`,
      {
        fields: { directory, dn },
      },
    );
  }

  /** Parents of every group, in order; those asked for already, by whomever, are waited for and not asked again. */
  async #climb(groups: readonly { key: string; dn: string }[]): Promise<(readonly FoundGroup[])[]> {
    const unknown = groups.filter(
      ({ key }) => this.#parents.get(key) === undefined && !this.#flights.has(key),
    );
    const areAllTopmost = this.#source.areAllTopmost;
    // More questions than fit into one round trip: first ask for many at once whether there is anything above them.
    if (areAllTopmost !== undefined && unknown.length > searchesAtATime) {
      for (let at = 0; at < unknown.length; at += groupsPerQuestion) {
        const some = unknown.slice(at, at + groupsPerQuestion);
        const answer = areAllTopmost(some.map(({ dn }) => dn));
        for (const { key, dn } of some) {
          void this.#fly(key, async () => ((await answer) ? [] : await this.#source.parents(dn)));
        }
      }
    }
    return await Promise.all(
      groups.map(async ({ key, dn }) => {
        const known = this.#parents.get(key);
        if (known !== undefined) return known;
        return await (this.#flights.get(key) ?? this.#fly(key, async () => await this.#source.parents(dn)));
      }),
    );
  }

  #fly(key: string, work: () => Promise<readonly FoundGroup[]>): Promise<readonly FoundGroup[]> {
    const flight = work()
      .then((parents) => {
        this.#parents.set(key, parents);
        return parents;
      })
      .finally(() => this.#flights.delete(key));
    // Every flight is awaited by `#climb`; this one handler only keeps a failure from being reported before that.
    flight.catch(() => undefined);
    this.#flights.set(key, flight);
    return flight;
  }
}

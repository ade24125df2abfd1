/**
 * An LDAP directory for the rest of the gateway: finds a person, judges the account, tries the password, reads groups.
 * Puts the parts of this folder together; how servers are reached and chosen is theirs.
 */
import type { Resolver } from 'node:dns';
import { GatewayError } from '../errors.ts';
import type { PasswordPair } from '../identity/credential.ts';
import type { Group, GroupTable } from '../identity/group.ts';
import type { PasswordChangeOutcome, PasswordChangeWay, RejectionReason } from '../identity/outcome.ts';
import type { Clock } from '../lib/clock.ts';
import { Deadline } from '../lib/deadline.ts';
import type { Secret } from '../lib/secret.ts';
import { SingleFlight } from '../lib/single-flight.ts';
import type { CounterCell } from '../observability/hot-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { BindAnswer, SearchRequest } from './connection.ts';
import type {
  Directory,
  DirectoryHealth,
  DirectoryPerson,
  LookupOutcome,
  VerificationOptions,
  VerificationOutcome,
} from './directory.ts';
import type { LdapEntry } from './entry.ts';
import { ServerGroup } from './failover.ts';
import { toGatewayError } from './failures.ts';
import { GroupReader } from './groups.ts';
import { type PeopleSettings, resolveSettings } from './kinds.ts';
import { isAcceptablePassword, type LoginName, toLoginName } from './login-name.ts';
import { OperationMetrics } from './operation-metrics.ts';
import { bindsByCertificate, type DirectoryOptions, serviceAccountOf } from './options.ts';
import { isProof, PasswordChange } from './password-change.ts';
import { toPerson } from './person.ts';
import { type FoundEntry, PersonSearch } from './person-search.ts';
import { withWholeAttributes } from './ranges.ts';
import { LdapServer } from './server.ts';
import { ServerList } from './server-list.ts';
import { SharedBind } from './shared-bind.ts';
import { isAboutPassword } from './status.ts';
import { TimedCache } from './timed-cache.ts';
import { defaultTimings, type Timings } from './timings.ts';

/** For whoever wants to know why, and not only what. */
export interface DirectoryObserver {
  /** The one entry a typed name led to. */
  found(entry: LdapEntry): void;
  /** What the server said of a password. */
  answered(answer: BindAnswer): void;
}

export interface DirectoryDependencies {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly groupTable: GroupTable;
  readonly timings?: Partial<Timings>;
  /** Looks on; decides nothing. */
  readonly observer?: DirectoryObserver;
  /** Asked for the servers where DNS names them; omitted: the servers of the system. */
  readonly resolver?: Resolver;
}

/**
 * A person read this long ago is not read again: requests of one moment share a reading, while a new sign-in or
 * refresh always sees what the directory says now.
 */
const freshForMs = 2_000;
/** "No such account" is believed this long: enough against a flood of guesses, short for a new colleague. */
const unknownForMs = 10_000;
const maxPeople = 10_000;

type CacheResult = 'hit' | 'miss' | 'stale' | 'negative';

/** Returns at once: servers are reached in the background. Throws GatewayError CONFIG_INVALID. */
export function createDirectory(options: DirectoryOptions, dependencies: DirectoryDependencies): Directory {
  return new LdapDirectory(options, dependencies);
}

class LdapDirectory implements Directory {
  readonly name: string;
  readonly #settings: PeopleSettings;
  readonly #observer: DirectoryObserver | undefined;
  readonly #staleForMs: number;
  readonly #passwordChangeUrl: string | undefined;
  readonly #timings: Timings;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #countCache: (result: CacheResult) => void;
  readonly #servers: ServerList;
  readonly #group: ServerGroup;
  readonly #groupReader: GroupReader | undefined;
  /** The last known state of people, by id; fresh for a moment, served stale while the directory is away. */
  readonly #people: TimedCache<DirectoryPerson>;
  readonly #unknownNames: TimedCache<true>;
  readonly #personSearch: PersonSearch;
  readonly #nameSearches = new SingleFlight<FoundEntry>();
  readonly #groupWalks = new SingleFlight<readonly Group[]>();
  readonly #lookups = new SingleFlight<LookupOutcome>();
  readonly #findings = new SingleFlight<LookupOutcome>();
  readonly #binds = new SharedBind();
  readonly #end = new AbortController();

  constructor(options: DirectoryOptions, dependencies: DirectoryDependencies) {
    const { clock, metrics, groupTable } = dependencies;
    this.name = options.name;
    this.#settings = resolveSettings(options);
    this.#observer = dependencies.observer;
    this.#staleForMs = options.cache.staleFor;
    this.#passwordChangeUrl = options.passwordChangeUrl;
    this.#timings = { ...defaultTimings, ...dependencies.timings };
    this.#logger = dependencies.logger.with({ directory: options.name });
    this.#clock = clock;
    const cacheCells = Object.fromEntries(
      (['hit', 'miss', 'stale', 'negative'] as const).map((result) => [
        result,
        metrics.directoryCacheRequests.cell({ directory: options.name, result }),
      ]),
    ) as Record<CacheResult, CounterCell>;
    this.#countCache = (result) => {
      cacheCells[result].count++;
    };
    const ttlMs = options.cache.ttl;
    this.#people = new TimedCache({ clock, ttlMs: Math.min(ttlMs, freshForMs), maxEntries: maxPeople });
    this.#unknownNames = new TimedCache({
      clock,
      ttlMs: Math.min(ttlMs, unknownForMs),
      maxEntries: maxPeople,
    });
    this.#servers = new ServerList({
      directory: options,
      timings: this.#timings,
      logger: this.#logger,
      resolver: dependencies.resolver,
      open: (endpoint, index) =>
        new LdapServer({
          endpoint,
          serviceAccount: serviceAccountOf(options),
          bindsByCertificate: bindsByCertificate(options),
          operationTimeoutMs: options.timeout,
          verificationConnections: options.pool.connections,
          timings: this.#timings,
          logger: this.#logger,
          metrics: new OperationMetrics(metrics, options.name, index),
        }),
    });
    this.#group = new ServerGroup(options.name, this.#servers);
    this.#personSearch = new PersonSearch({
      settings: this.#settings,
      search: (request) => this.#search(request),
      logger: this.#logger,
    });
    if (this.#settings.groups !== undefined) {
      this.#groupReader = new GroupReader({
        directory: options.name,
        settings: this.#settings.groups,
        search: async (request) => await this.#search(request),
        groupTable,
        clock,
        ttlMs,
      });
    }
  }

  async verify(
    username: string,
    password: Secret,
    options: VerificationOptions,
  ): Promise<VerificationOutcome> {
    const name = toLoginName(username, options.claims);
    if (name === undefined || !isAcceptablePassword(password)) return rejected('credentials-malformed');
    const deadline = new Deadline(this.#timings.wholeMs, options.signal);
    return await deadline.race(this.#verify(name, password, options, deadline), this.#overdue);
  }

  async changePassword(
    username: string,
    passwords: PasswordPair,
    options: VerificationOptions,
  ): Promise<PasswordChangeOutcome> {
    const name = toLoginName(username, options.claims);
    if (name === undefined || !isAcceptablePassword(passwords.old)) return rejected('credentials-malformed');
    if (!isAcceptablePassword(passwords.new)) return { kind: 'refused', reason: 'malformed' };
    const deadline = new Deadline(this.#timings.wholeMs, options.signal);
    return await deadline.race(this.#changePassword(name, passwords, options, deadline), this.#overdue);
  }

  async lookup(
    person: { readonly id: string; readonly username: string },
    signal: AbortSignal,
  ): Promise<LookupOutcome> {
    const fresh = this.#people.get(person.id);
    if (fresh !== undefined) {
      this.#countCache('hit');
      return { kind: 'found', person: fresh, stale: false };
    }
    const lookup = this.#lookups.run(person.id, async () => await this.#lookup(person));
    return await new Deadline(this.#timings.wholeMs, signal).race(lookup, this.#overdue);
  }

  async find(username: string, signal: AbortSignal): Promise<LookupOutcome> {
    const name = toLoginName(username);
    if (name === undefined) return { kind: 'ended', reason: 'unknown-account' };
    const finding = this.#findings.run(keyOf(name), async () => await this.#find(name));
    return await new Deadline(this.#timings.wholeMs, signal).race(finding, this.#overdue);
  }

  health(): DirectoryHealth {
    return { name: this.name, servers: this.#servers.health() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#servers[Symbol.asyncDispose]();
  }

  /** Hot path: bench/ldap.ts. */
  async #verify(
    name: LoginName,
    password: Secret,
    options: VerificationOptions,
    deadline: Deadline,
  ): Promise<VerificationOutcome> {
    const entry = await this.#searchOne(name);
    if (typeof entry === 'string') return rejected(entry);
    this.#observer?.found(entry);
    const person = await this.#admitted(entry, options, deadline);
    const state = this.#stateOf(entry);
    if (state !== undefined && !isAboutPassword(state)) return rejected(state);
    const answer = await this.#binds.run(entry.dn, password, () =>
      this.#group.bind(entry.dn, password, this.#workDeadline()),
    );
    const reason = this.#judge(answer) ?? state;
    if (reason === undefined) return { kind: 'verified', person: await this.#withGroups(person, entry) };
    if (!isAboutPassword(reason) || !isProof(answer)) return rejected(reason);
    return { kind: 'rejected', reason, passwordChange: this.#wayToPassword(answer) };
  }

  async #changePassword(
    name: LoginName,
    passwords: PasswordPair,
    options: VerificationOptions,
    deadline: Deadline,
  ): Promise<PasswordChangeOutcome> {
    const method = this.#settings.passwordMethod;
    if (method === undefined) return rejected('sign-in-not-permitted');
    const entry = await this.#searchOne(name);
    if (typeof entry === 'string') return rejected(entry);
    this.#observer?.found(entry);
    await this.#admitted(entry, options, deadline);
    const state = this.#stateOf(entry);
    if (state !== undefined && !isAboutPassword(state)) return rejected(state);
    const change = new PasswordChange({
      method,
      dn: entry.dn,
      passwords,
      judgeBind: this.#settings.status.judgeBind,
      isDue: state !== undefined,
    });
    return await this.#group.changePassword(change, this.#workDeadline());
  }

  /** The person, counted by the throttle. */
  async #admitted(
    entry: LdapEntry,
    options: VerificationOptions,
    deadline: Deadline,
  ): Promise<Omit<DirectoryPerson, 'groups'>> {
    const person = toPerson(entry, this.#settings, this.name);
    // Nobody waits any more: no attempt is counted, no password tried.
    if (deadline.isOver) throw this.#overdue(options.signal.reason);
    await options.admit(person.username);
    return person;
  }

  /** What the entry says; whoever types a wrong password must not learn of it if it is only about the password. */
  #stateOf(entry: LdapEntry): RejectionReason | undefined {
    const { status } = this.#settings;
    const state = status.readEntry(entry, this.#clock.now());
    if (state !== undefined && !isAboutPassword(state)) return state;
    return status.readTemporaryLock?.(entry) ?? state;
  }

  #judge(answer: BindAnswer): RejectionReason | undefined {
    this.#observer?.answered(answer);
    try {
      return this.#settings.status.judgeBind(answer);
    } catch (error) {
      throw toGatewayError(error, this.name);
    }
  }

  #wayToPassword(answer: BindAnswer): PasswordChangeWay {
    if (this.#settings.passwordMethod?.isOpenAfter(answer) === true) return { kind: 'here' };
    const url = this.#passwordChangeUrl;
    return url === undefined ? { kind: 'nowhere' } : { kind: 'elsewhere', url };
  }

  async #withGroups(person: Omit<DirectoryPerson, 'groups'>, entry: LdapEntry): Promise<DirectoryPerson> {
    const known = this.#people.get(person.id);
    // A renamed entry may be in other groups.
    const isKnown = known !== undefined && known.dn === person.dn;
    this.#countCache(isKnown ? 'hit' : 'miss');
    if (isKnown) return { ...person, groups: known.groups };
    const reader = this.#groupReader;
    const member = { dn: person.dn, username: person.username, entry };
    const groups =
      reader === undefined
        ? []
        : await this.#groupWalks.run(person.id, async () => await reader.read(member));
    const whole = { ...person, groups };
    this.#people.set(person.id, whole);
    return whole;
  }

  async #lookup(person: { readonly id: string; readonly username: string }): Promise<LookupOutcome> {
    try {
      const entry = await this.#personSearch.again(person);
      const reason =
        entry === undefined ? 'unknown-account' : this.#settings.status.readEntry(entry, this.#clock.now());
      if (entry === undefined || reason !== undefined) {
        this.#people.delete(person.id);
        return { kind: 'ended', reason: reason ?? 'unknown-account' };
      }
      const found = await this.#withGroups(toPerson(entry, this.#settings, this.name), entry);
      return { kind: 'found', person: found, stale: false };
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const last = this.#people.getAged(person.id, this.#staleForMs);
      if (last === undefined) throw error;
      this.#countCache('stale');
      return { kind: 'found', person: last, stale: true };
    }
  }

  async #find(name: LoginName): Promise<LookupOutcome> {
    const entry = await this.#searchOne(name);
    if (typeof entry === 'string') return { kind: 'ended', reason: entry };
    this.#observer?.found(entry);
    const { status } = this.#settings;
    const reason = status.readEntry(entry, this.#clock.now()) ?? status.readTemporaryLock?.(entry);
    if (reason !== undefined) return { kind: 'ended', reason };
    const person = await this.#withGroups(toPerson(entry, this.#settings, this.name), entry);
    return { kind: 'found', person, stale: false };
  }

  /** The entry of a name, or why there is not exactly one. */
  async #searchOne(name: LoginName): Promise<FoundEntry> {
    const key = keyOf(name);
    if (this.#unknownNames.get(key) === true) {
      this.#countCache('negative');
      return 'unknown-account';
    }
    const found = await this.#nameSearches.run(key, () => this.#personSearch.byName(name));
    if (found === 'unknown-account') this.#unknownNames.set(key, true);
    return found;
  }

  async #search(request: SearchRequest): Promise<LdapEntry[]> {
    const deadline = this.#workDeadline();
    const ask = (one: SearchRequest): Promise<LdapEntry[]> => this.#group.search(one, deadline);
    const entries = await ask(request);
    try {
      return await withWholeAttributes(entries, ask);
    } catch (error) {
      throw toGatewayError(error, this.name);
    }
  }

  /** Shared work is not ended by the caller who happened to start it; its result still fills the cache. */
  #workDeadline(): Deadline {
    return new Deadline(this.#timings.wholeMs, this.#end.signal);
  }

  readonly #overdue = (reason: unknown): GatewayError =>
    new GatewayError('PROVIDER_UNAVAILABLE', `directory ${this.name}: no answer in time`, {
      cause: reason,
      fields: { directory: this.name },
      retryAfterSeconds: 1,
    });
}

function rejected(reason: RejectionReason): { readonly kind: 'rejected'; readonly reason: RejectionReason } {
  return { kind: 'rejected', reason };
}

/** Whatever leads to the same question is one. */
function keyOf({ usernames, address }: LoginName): string {
  return [...usernames, address ?? ''].join('\n');
}

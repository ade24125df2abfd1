/**
 * Finds the entry of a person: by what was typed at a sign-in, by name and stable id later. More than one entry is
 * nobody, because the first of several may be anybody.
 */
import { GatewayError } from '../errors.ts';
import { fillDn } from '../identity/distinguished-name.ts';
import type { Logger } from '../observability/logger.ts';
import type { SearchRequest } from './connection.ts';
import type { LdapEntry } from './entry.ts';
import { LdapFailure, resultCode } from './failures.ts';
import { allOf, anyOf, type EncodedFilter } from './filter.ts';
import type { PeopleSettings } from './kinds.ts';
import { type LoginName, toLoginName } from './login-name.ts';
import { readStableId, stableIdFilter } from './stable-id.ts';

export interface PersonSearchOptions {
  readonly settings: PeopleSettings;
  readonly search: (request: SearchRequest) => Promise<LdapEntry[]>;
  readonly logger: Logger;
}

export type FoundEntry = LdapEntry | 'unknown-account' | 'ambiguous-account';

/** A name the template makes no DN of, and a DN that nobody has. */
const nobodyCodes: ReadonlySet<number | undefined> = new Set([
  resultCode.noSuchObject,
  resultCode.invalidDnSyntax,
]);

export class PersonSearch {
  readonly #settings: PeopleSettings;
  readonly #search: PersonSearchOptions['search'];
  readonly #logger: Logger;

  constructor({ settings, search, logger }: PersonSearchOptions) {
    this.#settings = settings;
    this.#search = search;
    this.#logger = logger;
  }

  /** The entry of a name, or why there is not exactly one. Throws GatewayError. */
  async byName(name: LoginName): Promise<FoundEntry> {
    const entries = await this.#named(name);
    const [entry] = entries;
    if (entry === undefined) return 'unknown-account';
    if (entries.length === 1) return entry;
    this.#logger.warn('directory-account-ambiguous', { dns: entries.map(({ dn }) => dn) });
    return 'ambiguous-account';
  }

  /**
   * By name first, because names are indexed everywhere and stable ids are not; by id when the name finds somebody
   * else or nobody. The configured filter's other conditions hold in both cases. Throws GatewayError.
   */
  async again(person: { readonly id: string; readonly username: string }): Promise<LdapEntry | undefined> {
    const { filter, idAttributes, dnTemplate } = this.#settings;
    const name = toLoginName(person.username) ?? { usernames: [person.username], address: undefined };
    const named = await this.#named(name);
    const same = named.find((entry) => readStableId(entry, idAttributes) === person.id);
    // A directory with a template may not be searched.
    if (same !== undefined || dnTemplate !== undefined) return same;
    const byId = stableIdFilter(person.id, idAttributes);
    if (byId === undefined) return undefined;
    const [renamed] = await this.#below(allOf([byId, filter.forAnyName.encode({})]));
    return renamed;
  }

  async #named(name: LoginName): Promise<LdapEntry[]> {
    const { filter, dnTemplate } = this.#settings;
    if (dnTemplate !== undefined) {
      const found = await Promise.all(
        name.usernames.map(async (username) => await this.#at(fillDn(dnTemplate, username))),
      );
      return found.flat();
    }
    const { usernames, address } = name;
    const template = address === undefined ? filter.withoutAddress : filter;
    if (template === undefined) return [];
    const values = address === undefined ? {} : { ADDRESS: address };
    const [first, ...others] = usernames.map((username) =>
      template.encode({ USERNAME: username, ...values }),
    );
    const either = others.length === 0 ? first : anyOf([first as EncodedFilter, ...others]);
    return await this.#below(either as EncodedFilter);
  }

  #below(filter: EncodedFilter): Promise<LdapEntry[]> {
    return this.#search({
      baseDn: this.#settings.baseDn,
      scope: 'sub',
      filter,
      attributes: this.#settings.requestedAttributes,
      // One more than allowed, to see that there is more than one.
      sizeLimit: 2,
    });
  }

  async #at(dn: string): Promise<LdapEntry[]> {
    try {
      return await this.#search({
        baseDn: dn,
        scope: 'base',
        filter: this.#settings.filter.forAnyName.encode({}),
        attributes: this.#settings.requestedAttributes,
        sizeLimit: 1,
      });
    } catch (error) {
      const isNobody =
        error instanceof GatewayError &&
        error.cause instanceof LdapFailure &&
        error.cause.stage === 'operation' &&
        nobodyCodes.has(error.cause.resultCode);
      if (isNobody) return [];
      throw error;
    }
  }
}

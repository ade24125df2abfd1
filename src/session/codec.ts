/** Principals and sessions as the store holds them, and back, sharing group and role texts between sessions. */
import type { GroupTable } from '../identity/group.ts';
import type { Principal } from '../identity/principal.ts';
import type { StoredGroup, StoredPrincipal, StoredSession } from '../state/session-store.ts';
import type { Session, SessionFacts } from './session.ts';

export function toStoredPrincipal(principal: Principal): StoredPrincipal {
  const { provider, subject, username, email, displayName, givenName, familyName } = principal;
  return {
    provider,
    subject,
    username,
    ...(email === undefined ? {} : { email }),
    ...(displayName === undefined ? {} : { displayName }),
    ...(givenName === undefined ? {} : { givenName }),
    ...(familyName === undefined ? {} : { familyName }),
    groups: principal.groups.map(toStoredGroup),
    roles: principal.roles,
    accessLevel: principal.accessLevel,
    attributes: principal.attributes,
  };
}

export function toStoredSession(session: Session): StoredSession {
  return {
    key: session.key,
    principal: toStoredPrincipal(session.principal),
    authenticatedAtMs: session.authenticatedAtMs,
    expiresAtMs: session.expiresAtMs,
    lastUsedAtMs: session.lastUsedAtMs,
    refreshedAtMs: session.refreshedAtMs,
  };
}

function toStoredGroup({ name, dn, directory }: StoredGroupSource): StoredGroup {
  return { name, ...(dn === undefined ? {} : { dn }), ...(directory === undefined ? {} : { directory }) };
}

interface StoredGroupSource {
  readonly name: string;
  readonly dn: string | undefined;
  readonly directory: string | undefined;
}

/** Decodes with shared texts: a hundred thousand sessions repeat a few thousand groups and a handful of roles. */
export class SessionDecoder {
  readonly #groups: GroupTable;
  readonly #texts = new Map<string, string>();
  /** By their members. */
  readonly #lists = new Map<string, readonly string[]>();

  constructor(groups: GroupTable) {
    this.#groups = groups;
  }

  toFacts(stored: StoredSession): SessionFacts {
    return { ...stored, key: flatCopy(stored.key), principal: this.toPrincipal(stored.principal) };
  }

  toPrincipal(stored: StoredPrincipal): Principal {
    return {
      provider: this.#share(stored.provider),
      subject: stored.subject,
      username: stored.username,
      email: stored.email,
      displayName: stored.displayName,
      givenName: stored.givenName,
      familyName: stored.familyName,
      groups: stored.groups.map((group) => this.#groups.intern(group.name, group.dn, group.directory)),
      roles: stored.roles.length === 0 ? none : this.#shareList(stored.roles),
      accessLevel: stored.accessLevel,
      attributes: this.#sharedKeys(stored.attributes),
    };
  }

  #sharedKeys(attributes: StoredPrincipal['attributes']): StoredPrincipal['attributes'] {
    const names = Object.keys(attributes);
    if (names.length === 0) return noAttributes;
    return Object.fromEntries(names.map((name) => [this.#share(name), attributes[name] ?? none]));
  }

  #shareList(list: readonly string[]): readonly string[] {
    const members = list.join('\0');
    const known = this.#lists.get(members);
    if (known !== undefined) return known;
    if (this.#lists.size >= maxTexts) this.#lists.clear();
    const shared = Object.freeze(list.map((text) => this.#share(text)));
    this.#lists.set(members, shared);
    return shared;
  }

  #share(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    // Providers, roles and attribute names come from the configuration; the bound only guards against a bad store.
    if (this.#texts.size >= maxTexts) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }
}

/**
 * A copy with its own characters. V8 keeps a slice as a reference into its parent, so a remembered ticket would hold
 * the whole Cookie header of the request it came with.
 */
export function flatCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

const maxTexts = 10_000;
const none: readonly string[] = Object.freeze([]);
const noAttributes: Readonly<Record<string, readonly string[]>> = Object.freeze({});

/**
 * The kinds of directory, one row each: which attributes, filters and rules apply unless configured otherwise.
 * A further kind is a further row, never a branch elsewhere.
 */
import { GatewayError } from '../errors.ts';
import { compileFilter, type FilterTemplate } from './filter.ts';
import type { DirectoryOptions } from './options.ts';
import { openLdapStatus, type StatusRules } from './status.ts';

interface DirectoryKind {
  readonly userFilter: string;
  readonly attributes: Readonly<Record<PersonAttribute, string>>;
  readonly groups: {
    readonly method: 'search' | 'userAttribute';
    readonly filter: string;
    readonly nameAttribute: string;
    readonly userAttribute: string;
  };
  /** Stable across renames; operational, so it must be asked for by name. */
  readonly idAttribute: string;
  readonly status: StatusRules;
}

const personAttributes = ['username', 'email', 'givenName', 'familyName', 'displayName'] as const;
type PersonAttribute = (typeof personAttributes)[number];

const kinds: Readonly<Record<DirectoryOptions['kind'], DirectoryKind>> = {
  openLdap: {
    userFilter: '(&(objectClass=inetOrgPerson)(uid=%USERNAME%))',
    attributes: {
      username: 'uid',
      email: 'mail',
      givenName: 'givenName',
      familyName: 'sn',
      displayName: 'displayName',
    },
    groups: {
      method: 'search',
      filter: '(&(objectClass=groupOfNames)(member=%DN%))',
      nameAttribute: 'cn',
      userAttribute: 'memberOf',
    },
    // RFC 4530.
    idAttribute: 'entryUUID',
    status: openLdapStatus,
  },
};

export interface GroupSettings {
  readonly method: 'search' | 'userAttribute';
  /** Search: always set. User attribute: only groups below it count; `undefined`: all. */
  readonly baseDn: string | undefined;
  readonly filter: FilterTemplate;
  readonly nameAttribute: string;
  readonly isNested: boolean;
  readonly userAttribute: string;
}

/** Options with the defaults of their kind filled in and filters compiled. */
export interface PeopleSettings {
  readonly baseDn: string;
  readonly filter: FilterTemplate;
  readonly attributes: Readonly<Record<PersonAttribute, string>>;
  /** Further attributes: configured name and LDAP attribute. */
  readonly furtherAttributes: readonly (readonly [name: string, attribute: string])[];
  readonly idAttribute: string;
  readonly status: StatusRules;
  /** Everything to ask for when a person is read. */
  readonly requestedAttributes: readonly string[];
  /** `undefined`: no groups are read. */
  readonly groups: GroupSettings | undefined;
}

/** Throws GatewayError CONFIG_INVALID. */
export function resolveSettings(options: DirectoryOptions): PeopleSettings {
  const kind = kinds[options.kind];
  const { users } = options;
  const attributes = { ...kind.attributes };
  const furtherAttributes: [string, string][] = [];
  for (const [name, attribute] of Object.entries(users.attributes)) {
    if (attribute === undefined) continue;
    const known = personAttributes.find((candidate) => candidate === name);
    if (known === undefined) furtherAttributes.push([name, attribute]);
    else attributes[known] = attribute;
  }
  const groups = resolveGroups(options, kind);
  return {
    baseDn: users.baseDn,
    filter: compileFilter(users.filter ?? kind.userFilter),
    attributes,
    furtherAttributes,
    idAttribute: kind.idAttribute,
    status: kind.status,
    requestedAttributes: unique([
      ...Object.values(attributes),
      ...furtherAttributes.map(([, attribute]) => attribute),
      kind.idAttribute,
      ...kind.status.attributes,
      ...(groups?.method === 'userAttribute' ? [groups.userAttribute] : []),
    ]),
    groups,
  };
}

function resolveGroups(options: DirectoryOptions, kind: DirectoryKind): GroupSettings | undefined {
  const { groups } = options;
  if (groups === undefined) return undefined;
  const method = groups.method ?? kind.groups.method;
  if (method === 'search' && groups.baseDn === undefined) {
    throw new GatewayError('CONFIG_INVALID', `directory ${options.name}: groups.baseDn is missing`, {
      fields: { directory: options.name },
    });
  }
  return {
    method,
    baseDn: groups.baseDn,
    filter: compileFilter(groups.filter ?? kind.groups.filter),
    nameAttribute: groups.nameAttribute ?? kind.groups.nameAttribute,
    isNested: groups.nested,
    userAttribute: groups.userAttribute ?? kind.groups.userAttribute,
  };
}

/** Attribute names are compared without case. */
function unique(attributes: readonly string[]): readonly string[] {
  return [...new Map(attributes.map((attribute) => [attribute.toLowerCase(), attribute])).values()];
}

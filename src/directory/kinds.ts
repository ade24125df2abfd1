/**
 * The kinds of directory, one row each: which attributes, filters and rules apply unless configured otherwise.
 * A further kind is a further row, never a branch elsewhere.
 */
import { GatewayError } from '../errors.ts';
import { normalizeDn } from '../identity/distinguished-name.ts';
import { compileFilter, type FilterTemplate } from './filter.ts';
import { type DirectoryKindName, type GroupMethod, groupMethodOf } from './group-method.ts';
import type { DirectoryOptions } from './options.ts';
import {
  activeDirectoryPassword,
  freeIpaPassword,
  openLdapPassword,
  type PasswordMethod,
} from './password-change.ts';
import { whyNoPasswordChange } from './password-requirements.ts';
import {
  activeDirectoryStatus,
  freeIpaStatus,
  onlyBind,
  openLdapStatus,
  type StatusRules,
} from './status.ts';
import { membershipAttributes } from './token-groups.ts';

interface DirectoryKind {
  readonly userFilter: string;
  readonly attributes: Readonly<Record<PersonAttribute, string>>;
  readonly groups: {
    readonly filter: string;
    readonly nameAttribute: string;
    readonly userAttribute: string;
    /** Whether the attribute names nested groups as well. */
    readonly isAttributeComplete: boolean;
    /** Where groups are, as far as it follows from where people are. */
    readonly baseDn: (peopleBaseDn: string) => string | undefined;
  };
  /** Stable across renames, the first that an entry has; operational, so they must be asked for by name. */
  readonly idAttributes: readonly string[];
  /** Whether its binds tell of policies by the control of draft-behera-ldap-password-policy. */
  readonly hasPolicyControl: boolean;
  readonly status: StatusRules;
  readonly passwordMethod: PasswordMethod;
}

const personAttributes = ['username', 'email', 'givenName', 'familyName', 'displayName'] as const;
type PersonAttribute = (typeof personAttributes)[number];

const kinds: Readonly<Record<DirectoryKindName, DirectoryKind>> = {
  activeDirectory: {
    // All three are indexed. People may often edit their own mail: it is compared with nothing but addresses, so that
    // nobody gets in the way of an account name.
    userFilter:
      '(&(objectCategory=person)(objectClass=user)' +
      '(|(sAMAccountName=%USERNAME%)(userPrincipalName=%ADDRESS%)(mail=%ADDRESS%)))',
    attributes: {
      username: 'sAMAccountName',
      email: 'mail',
      givenName: 'givenName',
      familyName: 'sn',
      displayName: 'displayName',
    },
    groups: {
      filter: '(&(objectClass=group)(member=%DN%))',
      // Unique within the domain, unlike cn: who may create groups in one unit must not be able to make a namesake.
      nameAttribute: 'sAMAccountName',
      userAttribute: 'memberOf',
      isAttributeComplete: false,
      // Groups may be anywhere in the domain: `dc=corp,dc=test` of `ou=people,dc=corp,dc=test`.
      baseDn: (people) => /(?:^|(?<!\\),)\s*(dc=.*)$/i.exec(people)?.[1] ?? people,
    },
    idAttributes: ['objectGUID'],
    hasPolicyControl: false,
    status: activeDirectoryStatus,
    passwordMethod: activeDirectoryPassword,
  },
  freeIpa: {
    userFilter:
      '(&(objectClass=inetOrgPerson)(|(uid=%USERNAME%)(krbPrincipalName=%ADDRESS%)(mail=%ADDRESS%)))',
    attributes: {
      username: 'uid',
      email: 'mail',
      givenName: 'givenName',
      familyName: 'sn',
      displayName: 'displayName',
    },
    groups: {
      filter: '(&(objectClass=groupOfNames)(member=%DN%))',
      nameAttribute: 'cn',
      userAttribute: 'memberOf',
      // Kept up by the server's memberOf plug-in.
      isAttributeComplete: true,
      // FreeIPA's memberOf also names roles, permissions and host rules, which must not pass for groups of their name.
      baseDn: (people) => {
        const accounts = /^(?:cn=users,)?(cn=accounts,.*)$/.exec(normalizeDn(people))?.[1];
        return accounts === undefined ? undefined : `cn=groups,${accounts}`;
      },
    },
    // The first survives a migration to another server; plain 389-ds has the second alone.
    idAttributes: ['ipaUniqueID', 'nsUniqueId'],
    hasPolicyControl: true,
    status: freeIpaStatus,
    passwordMethod: freeIpaPassword,
  },
  openLdap: {
    userFilter: '(&(objectClass=inetOrgPerson)(|(uid=%USERNAME%)(mail=%ADDRESS%)))',
    attributes: {
      username: 'uid',
      email: 'mail',
      givenName: 'givenName',
      familyName: 'sn',
      displayName: 'displayName',
    },
    groups: {
      filter: '(&(objectClass=groupOfNames)(member=%DN%))',
      nameAttribute: 'cn',
      userAttribute: 'memberOf',
      // The overlay knows of direct members only.
      isAttributeComplete: false,
      baseDn: () => undefined,
    },
    // RFC 4530.
    idAttributes: ['entryUUID'],
    hasPolicyControl: true,
    status: openLdapStatus,
    passwordMethod: openLdapPassword,
  },
};

export interface GroupSettings {
  readonly method: GroupMethod;
  /** Search and tokenGroups: always set. User attribute: only groups below it count; `undefined`: all. */
  readonly baseDn: string | undefined;
  readonly filter: FilterTemplate;
  readonly nameAttribute: string;
  readonly isNested: boolean;
  readonly userAttribute: string;
  /** The user attribute names nested groups as well. */
  readonly isAttributeComplete: boolean;
}

/** Options with the defaults of their kind filled in and filters compiled. */
export interface PeopleSettings {
  readonly baseDn: string;
  readonly filter: FilterTemplate;
  /** `undefined`: people are searched. */
  readonly dnTemplate: string | undefined;
  readonly attributes: Readonly<Record<PersonAttribute, string>>;
  /** Further attributes: configured name and LDAP attribute. */
  readonly furtherAttributes: readonly (readonly [name: string, attribute: string])[];
  /** The first that an entry has is what somebody is known by. */
  readonly idAttributes: readonly string[];
  readonly hasPolicyControl: boolean;
  readonly status: StatusRules;
  /** `undefined`: passwords are not changed here. */
  readonly passwordMethod: PasswordMethod | undefined;
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
  const idAttributes = users.idAttribute === undefined ? kind.idAttributes : [users.idAttribute];
  const status = resolveStatus(users.status ?? options.kind, kind);
  return {
    baseDn: users.baseDn,
    filter: compileFilter(users.filter ?? kind.userFilter),
    dnTemplate: users.dnTemplate,
    attributes,
    furtherAttributes,
    idAttributes,
    hasPolicyControl: kind.hasPolicyControl,
    status,
    passwordMethod: resolvePasswordMethod(options, kind.passwordMethod),
    requestedAttributes: unique([
      ...Object.values(attributes),
      ...furtherAttributes.map(([, attribute]) => attribute),
      ...idAttributes,
      ...status.attributes,
      ...(groups === undefined ? [] : groupAttributes(groups)),
    ]),
    groups,
  };
}

/** How a bind answers depends on the server alone. */
function resolveStatus(
  from: NonNullable<DirectoryOptions['users']['status']>,
  kind: DirectoryKind,
): StatusRules {
  return from === 'bindOnly'
    ? onlyBind(kind.status)
    : { ...kinds[from].status, judgeBind: kind.status.judgeBind };
}

/** On where it is possible: what is asked for by name although it is not, the options refuse. */
function resolvePasswordMethod(
  options: DirectoryOptions,
  method: PasswordMethod,
): PasswordMethod | undefined {
  if (options.passwordChange === 'off') return undefined;
  return whyNoPasswordChange(options) === undefined ? method : undefined;
}

/** What has to be read with the person. */
function groupAttributes({ method, userAttribute }: GroupSettings): readonly string[] {
  if (method === 'search') return [];
  return method === 'tokenGroups' ? membershipAttributes : [userAttribute];
}

function resolveGroups(options: DirectoryOptions, kind: DirectoryKind): GroupSettings | undefined {
  const { groups } = options;
  if (groups === undefined) return undefined;
  const method = groupMethodOf(options.kind, groups);
  const userAttribute = groups.userAttribute ?? kind.groups.userAttribute;
  if (method === 'search' && groups.baseDn === undefined) {
    throw new GatewayError('CONFIG_INVALID', `directory ${options.name}: groups.baseDn is missing`, {
      fields: { directory: options.name },
    });
  }
  return {
    method,
    baseDn: groups.baseDn ?? (method === 'search' ? undefined : kind.groups.baseDn(options.users.baseDn)),
    filter: compileFilter(groups.filter ?? kind.groups.filter),
    nameAttribute: groups.nameAttribute ?? kind.groups.nameAttribute,
    isNested: groups.nested,
    userAttribute,
    isAttributeComplete:
      kind.groups.isAttributeComplete &&
      userAttribute.toLowerCase() === kind.groups.userAttribute.toLowerCase(),
  };
}

/** Attribute names are compared without case. */
function unique(attributes: readonly string[]): readonly string[] {
  return [...new Map(attributes.map((attribute) => [attribute.toLowerCase(), attribute])).values()];
}

/** How the groups of a person are learnt, unless it is configured: the way that is complete and cheap for the kind. */

/** `tokenGroups`: Active Directory's own computation, with nested, domain-local and primary groups. */
export const groupMethods = ['search', 'userAttribute', 'tokenGroups'] as const;
export type GroupMethod = (typeof groupMethods)[number];

export const directoryKinds = ['activeDirectory', 'openLdap', 'freeIpa'] as const;
export type DirectoryKindName = (typeof directoryKinds)[number];

const defaults: Readonly<Record<DirectoryKindName, { nested: GroupMethod; direct: GroupMethod }>> = {
  activeDirectory: { nested: 'tokenGroups', direct: 'userAttribute' },
  openLdap: { nested: 'search', direct: 'search' },
  // memberOf names the nested ones too, so it cannot tell the direct ones.
  freeIpa: { nested: 'userAttribute', direct: 'search' },
};

export function groupMethodOf(
  kind: DirectoryKindName,
  groups: { readonly method?: GroupMethod | undefined; readonly nested: boolean },
): GroupMethod {
  return groups.method ?? defaults[kind][groups.nested ? 'nested' : 'direct'];
}

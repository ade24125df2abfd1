/** Names are unique, and everything that is referred to by name exists. */
import { foldAccount } from '../../identity/account-name.ts';
import { looksLikeDn } from '../../identity/distinguished-name.ts';
import type { ConfigPath, Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';
import { suggest } from '../suggestion.ts';

export function checkNames(config: Readable): readonly Finding[] {
  return [
    ...duplicateNames('directories', config.directories),
    ...duplicateNames('providers', config.providers),
    ...duplicateNames('applications', config.applications),
    ...duplicateNames('zimbra', config.zimbra),
    ...duplicateAccounts(config),
    ...unknownReferences(config),
  ];
}

function duplicateNames(
  section: string,
  entries: readonly ({ readonly name: string } | undefined)[],
): readonly Finding[] {
  const first = new Map<string, number>();
  return entries.flatMap((entry, index): readonly Finding[] => {
    if (entry === undefined) return [];
    const before = first.get(entry.name);
    if (before === undefined) {
      first.set(entry.name, index);
      return [];
    }
    return [{ path: [section, index, 'name'], message: `is the name of ${section}[${before}] already` }];
  });
}

/** Account names compare without case, as sign-in does. */
function duplicateAccounts({ providers }: Readable): readonly Finding[] {
  return providers.flatMap((provider, index): readonly Finding[] => {
    if (provider?.type !== 'local') return [];
    const first = new Map<string, number>();
    return provider.users.flatMap(({ username }, user): readonly Finding[] => {
      const folded = foldAccount(username);
      const before = first.get(folded);
      if (before === undefined) {
        first.set(folded, user);
        return [];
      }
      const path = ['providers', index, 'users', user, 'username'];
      return [{ path, message: `is the account name of users[${before}] already` }];
    });
  });
}

function unknownReferences({ providers, roles, applications, declared }: Readable): readonly Finding[] {
  const findings: Finding[] = [];
  const expectProvider = (name: string, path: ConfigPath): void => {
    if (!declared.providers.has(name)) findings.push(unknown('provider', name, declared.providers, path));
  };
  const expectDirectory = (name: string, path: ConfigPath): void => {
    if (!declared.directories.has(name))
      findings.push(unknown('directory', name, declared.directories, path));
  };
  const expectUser = (entry: string, path: ConfigPath): void => {
    const colon = entry.indexOf(':');
    if (colon >= 0) expectProvider(entry.slice(0, colon), path);
  };
  const expectGroup = (entry: string, path: ConfigPath): void => {
    const colon = entry.indexOf(':');
    if (colon >= 0 && !looksLikeDn(entry)) expectDirectory(entry.slice(0, colon), path);
  };

  providers.forEach((provider, index) => {
    if (provider === undefined || provider.type === 'local' || provider.directory === undefined) return;
    expectDirectory(provider.directory, ['providers', index, 'directory']);
  });
  roles.forEach((role, index) => {
    const { provider, group, user } = role?.when ?? {};
    if (provider !== undefined) expectProvider(provider, ['roles', index, 'when', 'provider']);
    if (group !== undefined) expectGroup(group, ['roles', index, 'when', 'group']);
    if (user !== undefined) expectUser(user, ['roles', index, 'when', 'user']);
  });
  applications.forEach((application, index) => {
    application?.rules.forEach(({ access }, rule) => {
      if (typeof access === 'string') return;
      const above: ConfigPath = ['applications', index, 'rules', rule, 'access'];
      const at = (list: string, entry: number): ConfigPath => [...above, list, entry];
      access.users?.forEach((entry, position) => {
        expectUser(entry, at('users', position));
      });
      access.groups?.forEach((entry, position) => {
        expectGroup(entry, at('groups', position));
      });
      access.providers?.forEach((entry, position) => {
        expectProvider(entry, at('providers', position));
      });
    });
  });
  return findings;
}

function unknown(kind: string, name: string, known: ReadonlySet<string>, path: ConfigPath): Finding {
  const meant = suggest(name, [...known]);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return { path, message: `no ${kind} is named "${name}"${hint}` };
}

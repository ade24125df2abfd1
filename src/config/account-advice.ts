/** Doubts about account names: people whom an application, or the gateway itself, may take for one another. */
import { foldAccount, foldSuffix } from '../identity/account-name.ts';
import type { Finding } from './problem.ts';
import type { Readable } from './readable.ts';

export function adviceOnAccounts(config: Readable): readonly Finding[] {
  const { providers } = config;
  if (providers.length === 0) {
    return [{ path: ['providers'], message: 'no provider is configured: nobody can sign in' }];
  }
  return [...adviceOnNamesakes(config), ...adviceOnClaims(config)];
}

/** Two people with one account name are one person to an application that sees only the name. */
function adviceOnNamesakes({ providers, applications }: Readable): readonly Finding[] {
  const holders = holdersOfOneName(providers);
  if (holders === undefined) return [];
  return applications.flatMap((application, index): readonly Finding[] => {
    if (application === undefined) return [];
    const templates = Object.values(application.headers.set);
    if (templates.some((text) => /\$\{(provider|subject)\}/.test(text))) return [];
    const message = `sends no \${provider} or \${subject}, and ${holders}: the application cannot tell them apart`;
    return [{ path: ['applications', index, 'name'], message }];
  });
}

/** Local accounts are known here, those of directories are not. */
function holdersOfOneName(providers: Readable['providers']): string | undefined {
  const first = new Map<string, string>();
  const shared = new Set<string>();
  const directories = new Set<string>();
  for (const provider of providers) {
    if (provider?.type === 'ldap') directories.add(provider.directory);
    if (provider?.type !== 'local') continue;
    for (const { username } of provider.users) {
      const folded = foldAccount(username);
      const before = first.get(folded);
      if (before !== undefined && before !== provider.name) shared.add(username);
      first.set(folded, provider.name);
    }
  }
  if (shared.size > 0) return `several providers hold the account ${[...shared].slice(0, 3).join(', ')}`;
  if (directories.size < 2) return undefined;
  return `the directories ${[...directories].join(' and ')} may hold accounts of one name`;
}

/** Allowed, for directories that share a mail domain; whoever is in both is found in the first. */
function adviceOnClaims({ providers }: Readable): readonly Finding[] {
  const findings: Finding[] = [];
  const first = new Map<string, number>();
  providers.forEach((provider, index) => {
    if (provider?.type !== 'ldap') return;
    const claim = (key: 'suffixes' | 'domains', position: number, folded: string): void => {
      const before = first.get(`${key} ${folded}`);
      if (before === undefined) first.set(`${key} ${folded}`, index);
      else if (before !== index) {
        const message = `belongs to providers[${before}] too: people are looked for there first`;
        findings.push({ path: ['providers', index, key, position], message });
      }
    };
    provider.suffixes?.forEach((suffix, position) => {
      claim('suffixes', position, foldSuffix(suffix));
    });
    provider.domains?.forEach((domain, position) => {
      claim('domains', position, foldAccount(domain));
    });
  });
  return findings;
}

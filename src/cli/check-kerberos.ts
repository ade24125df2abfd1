/** `vratar check --connect`: whether the keytabs fit the public hosts, and tickets can be judged on this machine. */
import type { Finding } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';

export interface KerberosFindings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Facts to compare with what the KDC's administrator says: one line each. */
  readonly notes: readonly string[];
}

export async function checkKerberos(config: Config): Promise<KerberosFindings> {
  if (!config.providers.some(({ type }) => type === 'kerberos')) {
    return { problems: [], warnings: [], notes: [] };
  }
  const { checkTickets } = await import('../providers/kerberos/check.ts');
  const hosts = [
    new URL(config.server.publicUrl).hostname,
    ...config.applications.flatMap((application) => application.hosts),
  ];
  const found = await Promise.all(
    config.providers.map(async (provider, index) => {
      if (provider.type !== 'kerberos') return [];
      const findings = await checkTickets(provider, { hosts, stateDirectory: config.state.directory });
      return findings.map(({ level, path, message }) => ({
        level,
        name: provider.name,
        finding: { path: ['providers', index, ...path], message },
      }));
    }),
  );
  const all = found.flat();
  const ofLevel = (wanted: string): readonly Finding[] =>
    all.filter(({ level }) => level === wanted).map(({ finding }) => finding);
  return {
    problems: ofLevel('problem'),
    warnings: ofLevel('warning'),
    notes: all
      .filter(({ level }) => level === 'note')
      .map(({ name, finding }) => `${name}: ${finding.message}`),
  };
}

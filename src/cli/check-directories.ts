/** `vratar check --connect`: asks every server of every configured directory whether it works as configured. */
import type { Finding } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { checkDirectory } from '../directory/check.ts';
import type { DirectoryFinding } from '../directory/finding.ts';

/** Servers that swallow everything must not keep an operator waiting. */
const deadlineMs = 30_000;

export interface DirectoryFindings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** What a directory says is a finding at the option to change, never thrown. All directories are asked at once. */
export async function checkDirectories(config: Config): Promise<DirectoryFindings> {
  const signal = AbortSignal.timeout(deadlineMs);
  const findings = await Promise.all(
    config.directories.map(async (directory, index) => {
      const found = await checkDirectory(directory, { signal });
      return merged(found).map(({ level, servers, path, message }) => {
        const [server] = servers;
        const position = directory.servers.findIndex((url) => url === server);
        const place = path.length > 0 ? path : position < 0 ? ['name'] : ['servers', position];
        const where = servers.length === 0 ? '' : ` on ${servers.join(' and ')}`;
        return {
          level,
          path: ['directories', index, ...place],
          message: `directory ${directory.name}${where}: ${message}`,
        };
      });
    }),
  );
  const all = findings.flat();
  return {
    problems: all.filter(({ level }) => level === 'problem'),
    warnings: all.filter(({ level }) => level === 'warning'),
  };
}

type MergedFinding = Omit<DirectoryFinding, 'server'> & { readonly servers: readonly string[] };

/** Replicas mostly say the same: it is told once, with all of them. What belongs to one server's place stays apart. */
function merged(findings: readonly DirectoryFinding[]): readonly MergedFinding[] {
  const groups = Map.groupBy(findings, ({ path, message, server }) =>
    JSON.stringify([path, message, path.length === 0 ? server : undefined]),
  );
  return [...groups.values()].map((same) => {
    const [{ server: _, ...first }] = same as [DirectoryFinding];
    return { ...first, servers: same.flatMap(({ server }) => (server === undefined ? [] : [server])) };
  });
}

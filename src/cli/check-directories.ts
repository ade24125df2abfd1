/** `vratar check --connect`: asks every server of every configured directory whether it works as configured. */
import type { Finding } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { checkDirectory } from '../directory/check.ts';

/** Servers that swallow everything must not keep an operator waiting. */
const deadlineMs = 30_000;

export interface DirectoryFindings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** What a directory says is a finding at the server's line, never thrown. All directories are asked at once. */
export async function checkDirectories(config: Config): Promise<DirectoryFindings> {
  const signal = AbortSignal.timeout(deadlineMs);
  const findings = await Promise.all(
    config.directories.map(async (directory, index) => {
      const found = await checkDirectory(directory, signal);
      return found.map(({ level, server, message }) => {
        const position = directory.servers.findIndex((url) => url === server);
        const path = ['directories', index, ...(position < 0 ? ['name'] : ['servers', position])];
        return { level, path, message };
      });
    }),
  );
  const all = findings.flat();
  return {
    problems: all.filter(({ level }) => level === 'problem'),
    warnings: all.filter(({ level }) => level === 'warning'),
  };
}

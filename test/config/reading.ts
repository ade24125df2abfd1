/** Reads configuration text as the loader does, and gives back the lines an operator would see. */

import { readConfig } from '#src/config/load.ts';
import { formatProblem } from '#src/config/problem.ts';

export interface ReadLines {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Lines start with `f:`, for a file named f. */
export function readLines(text: string, env: Readonly<Record<string, string>> = {}): ReadLines {
  const { problems, warnings } = readConfig(text, { folder: '/nonexistent', env });
  return {
    problems: problems.map((problem) => formatProblem('f', problem)),
    warnings: warnings.map((warning) => formatProblem('f', warning)),
  };
}

/** Line 1 of a configuration that only needs more sections. */
export const serverLine = 'server: { publicUrl: "https://login.example.com" }\n';

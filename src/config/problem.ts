/** A mistake or a doubt in the configuration file, with the place an editor can jump to. */

export type PathStep = string | number;
export type ConfigPath = readonly PathStep[];

/** Line and column count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Position {
  readonly path: string;
  readonly message: string;
}

/** What a check found, before it is known where in the file that is. */
export interface Finding {
  readonly path: ConfigPath;
  readonly message: string;
  /** Point at the key instead of the value. */
  readonly atKey?: boolean;
}

/** `directories[0].bind.password`; the document itself is `(document)`. */
export function formatPath(path: ConfigPath): string {
  if (path.length === 0) return '(document)';
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** `file:line:column path: message`, the form compilers use. */
export function formatProblem(file: string, problem: Problem): string {
  return `${file}:${problem.line}:${problem.column} ${problem.path}: ${problem.message}`;
}

/** Top to bottom, without repetitions. */
export function inFileOrder(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Set<string>();
  return problems
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .filter((problem) => {
      const key = formatProblem('', problem);
      return !seen.has(key) && seen.add(key);
    });
}

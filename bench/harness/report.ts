/** How a benchmark says what it found: one line per result, with its limit, and the conditions once. */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';

export interface Result {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly unit: string;
  /** The value must reach the limit; otherwise it must not exceed it. */
  readonly isLeast?: true | undefined;
  /** Further figures of the same run. */
  readonly detail: string;
}

/** Prints the result and answers whether it is within its limit. */
export function report({ name, value, limit, unit, isLeast, detail }: Result): boolean {
  const isMet = isLeast === true ? value >= limit : value <= limit;
  console.log(
    `${isMet ? 'ok    ' : 'MISSED'} ${name}: ${value.toFixed(2)} ${unit} (limit ${isLeast === true ? 'at least ' : ''}${limit}); ${detail}`,
  );
  return isMet;
}

export function printConditions(): void {
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  const [cpu] = cpus();
  console.log(
    `commit ${commit}, Node ${process.versions.node}, ${cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ${new Date().toISOString()}`,
  );
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function range(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)}`;
}

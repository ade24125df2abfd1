/** Sign-ins at a steady rate, whatever becomes of them: what a directory's people do while its servers fail. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestDirectory } from './directories.ts';

export interface LoadReport {
  readonly sent: number;
  readonly verified: number;
  /** By reason of the rejection or code of the error. */
  readonly others: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly slowestFailureMs: number;
}

/** Ends after `durationMs` and the last answer. */
export async function signInSteadily(
  directory: TestDirectory,
  load: {
    readonly perSecond: number;
    readonly durationMs: number;
    readonly people: readonly [string, string][];
  },
): Promise<LoadReport> {
  const others: Record<string, number> = {};
  const pending: Promise<void>[] = [];
  let verified = 0;
  let slowestMs = 0;
  let slowestFailureMs = 0;
  const begin = performance.now();
  for (let sent = 0; performance.now() - begin < load.durationMs; sent++) {
    const [username, password] = load.people[sent % load.people.length] ?? ['', ''];
    const startedAt = performance.now();
    pending.push(
      directory.judge(username, password).then(
        (outcome) => {
          slowestMs = Math.max(slowestMs, performance.now() - startedAt);
          if (outcome === 'verified') verified++;
          else others[outcome] = (others[outcome] ?? 0) + 1;
        },
        (error: unknown) => {
          slowestFailureMs = Math.max(slowestFailureMs, performance.now() - startedAt);
          const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
          others[code] = (others[code] ?? 0) + 1;
        },
      ),
    );
    await sleep(Math.max(0, begin + ((sent + 1) * 1_000) / load.perSecond - performance.now()));
  }
  await Promise.all(pending);
  return { sent: pending.length, verified, others, slowestMs, slowestFailureMs };
}

/**
 * The check of all directories in the background of a running gateway: after the start, after a change of the
 * configuration, and again until nothing is wrong. Logs what is new and what is over; decides nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { DirectoryHealth } from './directory.ts';
import { type DirectoryFinding, findingTitles } from './finding.ts';
import type { DirectoryOptions } from './options.ts';

export interface SelfCheckTimings {
  /** Between looks at whether the workers have reached the servers, and how long these may take. */
  readonly settleEveryMs: number;
  readonly settleMs: number;
  /** For one round. */
  readonly roundMs: number;
  /** Until the next round while there are problems, one after the other; the last one repeats. */
  readonly problemsMs: readonly number[];
  /** Until the next round when there are only warnings, and when there is nothing. Certificates grow old. */
  readonly warningsMs: number;
  readonly nothingMs: number;
}

const minuteMs = 60_000;
const defaultTimings: SelfCheckTimings = {
  settleEveryMs: 1_000,
  settleMs: 15_000,
  roundMs: 30_000,
  problemsMs: [1, 1, 2, 5, 15].map((minutes) => minutes * minuteMs),
  warningsMs: 60 * minuteMs,
  nothingMs: 360 * minuteMs,
};

export interface SelfCheckOptions {
  /** What the workers know of the servers. */
  readonly health: () => Promise<readonly DirectoryHealth[]>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timings?: Partial<SelfCheckTimings>;
}

/** strongerAuthRequired and confidentialityRequired: the server refused before it looked at the password. */
const harmlessRefusals: ReadonlySet<number | undefined> = new Set([undefined, 8, 13]);

export class DirectorySelfCheck implements AsyncDisposable {
  readonly #options: SelfCheckOptions;
  readonly #timings: SelfCheckTimings;
  readonly #findings = new Map<string, { readonly directory: string; readonly finding: DirectoryFinding }>();
  #end = new AbortController();
  #rounds: Promise<void> = Promise.resolve();

  constructor(options: SelfCheckOptions) {
    this.#options = options;
    this.#timings = { ...defaultTimings, ...options.timings };
  }

  /** Returns at once. What was found of a configuration that is no more is forgotten. */
  restart(directories: readonly DirectoryOptions[]): void {
    this.#end.abort();
    const end = new AbortController();
    this.#end = end;
    const names = new Set(directories.map(({ name }) => name));
    for (const [key, { directory }] of this.#findings) if (!names.has(directory)) this.#findings.delete(key);
    if (directories.length === 0) return;
    this.#rounds = this.#rounds.then(async () => await this.#run(directories, end.signal));
  }

  /** Titles of the problems by directory, without names of entries or servers. */
  get problems(): ReadonlyMap<string, readonly string[]> {
    const titles = new Map<string, Set<string>>();
    for (const { directory, finding } of this.#findings.values()) {
      if (finding.level !== 'problem') continue;
      titles.set(directory, (titles.get(directory) ?? new Set()).add(findingTitles[finding.code]));
    }
    return new Map([...titles].map(([directory, set]) => [directory, [...set]]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#rounds;
  }

  async #run(directories: readonly DirectoryOptions[], signal: AbortSignal): Promise<void> {
    const { problemsMs, warningsMs, nothingMs } = this.#timings;
    try {
      for (let round = 0; !signal.aborted; round++) {
        await this.#round(directories, signal);
        const levels = [...this.#findings.values()].map(({ finding }) => finding.level);
        const nextMs = levels.includes('problem')
          ? (problemsMs[round] ?? problemsMs.at(-1) ?? nothingMs)
          : levels.length > 0
            ? warningsMs
            : nothingMs;
        await delay(nextMs, undefined, { signal, ref: false });
      }
    } catch (error) {
      if (signal.aborted) return;
      // A defect of the check is no reason to end the gateway.
      this.#options.logger.error('directory.check-failed', { error });
    }
  }

  async #round(directories: readonly DirectoryOptions[], end: AbortSignal): Promise<void> {
    const refused = await this.#refusals(directories, end);
    // Only here, so that a process without directories loads no LDAP client.
    const { checkDirectory } = await import('./check.ts');
    const { clock } = this.#options;
    const signal = AbortSignal.any([end, AbortSignal.timeout(this.#timings.roundMs)]);
    const found = await Promise.all(
      directories.map(async (directory) => {
        const mayBind = (url: string): boolean =>
          harmlessRefusals.has(refused.get(`${directory.name} ${url}`));
        const findings = await checkDirectory(directory, { signal, clock, mayBind });
        return findings.map((finding) => ({ directory: directory.name, finding }));
      }),
    );
    if (!end.aborted) this.#tell(found.flat());
  }

  /**
   * Result codes with which the service account was refused, by directory and server, once the workers know. What they
   * were refused for just now is not tried once more: that could lock the account.
   */
  async #refusals(
    directories: readonly DirectoryOptions[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, number>> {
    const { settleMs, settleEveryMs } = this.#timings;
    const until = performance.now() + settleMs;
    for (;;) {
      const health = await this.#options.health();
      const servers = health.flatMap(({ name, servers: each }) =>
        each.map((server) => ({ ...server, name })),
      );
      const known = servers.filter(({ isPending }) => isPending !== true);
      const isKnown = directories.every(({ name }) => known.some((server) => server.name === name));
      if ((isKnown && known.length === servers.length) || performance.now() >= until) {
        return new Map(
          servers.flatMap(({ name, url, refusal }) =>
            refusal === undefined ? [] : [[`${name} ${url}`, refusal] as const],
          ),
        );
      }
      await delay(settleEveryMs, undefined, { signal, ref: false });
    }
  }

  #tell(found: readonly { readonly directory: string; readonly finding: DirectoryFinding }[]): void {
    const { logger } = this.#options;
    const now = new Map(found.map((each) => [keyOf(each), each]));
    for (const [key, { directory, finding }] of now) {
      const { code, level, server, message } = finding;
      if (!this.#findings.has(key)) {
        logger.warn('directory.finding', { directory, server, finding: code, severity: level, message });
      }
      this.#findings.set(key, { directory, finding });
    }
    for (const [key, { directory, finding }] of this.#findings) {
      if (now.has(key)) continue;
      this.#findings.delete(key);
      logger.info('directory.finding-resolved', {
        directory,
        server: finding.server,
        finding: finding.code,
      });
    }
  }
}

/** Without the sentence, which may count days. */
function keyOf({ directory, finding }: { directory: string; finding: DirectoryFinding }): string {
  return JSON.stringify([directory, finding.server, finding.code, finding.path]);
}

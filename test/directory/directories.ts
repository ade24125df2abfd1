/** A directory under test: the real one, with a log, metrics and counters the test can read. */

import type { Resolver } from 'node:dns';
import type { Directory, VerificationOutcome } from '#src/directory/directory.ts';
import { createDirectory } from '#src/directory/ldap-directory.ts';
import { type DirectoryOptions, directoryOptions } from '#src/directory/options.ts';
import type { Timings } from '#src/directory/timings.ts';
import { GroupTable } from '#src/identity/group.ts';
import { type Clock, systemClock } from '#src/lib/clock.ts';
import { Secret } from '#src/lib/secret.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { directoryConfig } from '#test/servers/slapd.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';

export interface TestDirectory extends AsyncDisposable {
  readonly directory: Directory;
  readonly metrics: Metrics;
  readonly log: LogLines;
  /** Verifies with a limit of 10 s and a throttle that admits everybody. */
  verify(username: string, password: string): Promise<VerificationOutcome>;
  /** Name of the outcome: `verified` or the reason of the rejection. */
  judge(username: string, password: string): Promise<string>;
  /** Value of a counter, summed over the series whose labels contain `labels`. */
  count(metric: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

export interface TestDirectorySettings {
  readonly servers: readonly string[];
  readonly options?: Record<string, unknown>;
  readonly timings?: Partial<Timings>;
  readonly clock?: Clock;
  readonly groupTable?: GroupTable;
  /** Asked for the servers where DNS names them. */
  readonly resolver?: Resolver;
}

export function parseOptions(
  servers: readonly string[],
  more: Record<string, unknown> = {},
): DirectoryOptions {
  return directoryOptions.parse(directoryConfig(servers, more));
}

export function openDirectory(settings: TestDirectorySettings): TestDirectory {
  const metrics = new Metrics();
  const log = collectLog();
  const directory = createDirectory(parseOptions(settings.servers, settings.options), {
    logger: log.logger,
    metrics,
    clock: settings.clock ?? systemClock,
    groupTable: settings.groupTable ?? new GroupTable(),
    ...(settings.timings === undefined ? {} : { timings: settings.timings }),
    ...(settings.resolver === undefined ? {} : { resolver: settings.resolver }),
  });
  const verify = async (username: string, password: string) =>
    await directory.verify(username, new Secret(password), {
      signal: AbortSignal.timeout(10_000),
      admit: async () => {},
    });
  return {
    directory,
    metrics,
    log,
    verify,
    judge: async (username, password) => {
      const outcome = await verify(username, password);
      return outcome.kind === 'verified' ? outcome.kind : outcome.reason;
    },
    count: async (metric, labels = {}) => {
      const { body } = await metrics.expose();
      return body
        .split('\n')
        .filter((line) => line.startsWith(`${metric}{`))
        .filter((line) =>
          Object.entries(labels).every(([name, value]) => line.includes(`${name}="${value}"`)),
        )
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    },
    [Symbol.asyncDispose]: async () => await directory[Symbol.asyncDispose](),
  };
}

/** Three words about the whole gateway, from what its processes report. A directory that is away only degrades it. */
import type { WorkerReport } from '../compose.ts';
import type { DependencyState, Readiness } from '../gateway/operators/management.ts';

export interface ReadinessFacts {
  readonly isDraining: boolean;
  readonly isCrashing: boolean;
  /** Workers that listen. */
  readonly listening: number;
  readonly reports: readonly WorkerReport[];
  /** What a check found wrong with directories that answer, by name: titles for anybody to read. */
  readonly directoryProblems: ReadonlyMap<string, readonly string[]>;
}

export function readinessOf(facts: ReadinessFacts): {
  status: Readiness;
  dependencies: readonly DependencyState[];
} {
  const dependencies = [workers(facts), ...directories(facts), ...mailServers(facts.reports)];
  return { status: statusOf(facts, dependencies), dependencies };
}

function statusOf(
  { isDraining, isCrashing, listening }: ReadinessFacts,
  dependencies: readonly DependencyState[],
): Readiness {
  if (isDraining) return 'draining';
  if (isCrashing || listening === 0) return 'failed';
  return dependencies.every(({ status }) => status === 'available') ? 'ready' : 'degraded';
}

function workers({ listening, isCrashing }: ReadinessFacts): DependencyState {
  if (isCrashing)
    return { name: 'workers', status: 'unavailable', reason: 'worker processes die again and again' };
  return listening > 0
    ? { name: 'workers', status: 'available' }
    : { name: 'workers', status: 'unavailable', reason: 'no worker process is listening' };
}

/** A server counts as available when any worker reaches it. */
function directories({ reports, directoryProblems }: ReadinessFacts): DependencyState[] {
  const names = new Set(reports.flatMap((report) => report.directories.map(({ name }) => name)));
  return [...names].map((name) => {
    const seen = reports.flatMap((report) =>
      report.directories.filter((directory) => directory.name === name),
    );
    const servers = new Map<string, boolean>();
    for (const { url, available } of seen.flatMap((directory) => directory.servers)) {
      servers.set(url, available || servers.get(url) === true);
    }
    const away = [...servers].filter(([, available]) => !available).map(([url]) => url);
    const problems = directoryProblems.get(name) ?? [];
    if (away.length === 0 && problems.length === 0) return { name: `directory:${name}`, status: 'available' };
    const reasons = [
      ...(away.length === 0 ? [] : [`does not answer: ${away.join(', ')}`]),
      ...(problems.length === 0 ? [] : [`vratar check --connect tells more: ${problems.join(', ')}`]),
    ];
    return {
      name: `directory:${name}`,
      status: away.length > 0 && away.length === servers.size ? 'unavailable' : 'degraded',
      reason: reasons.join('; '),
    };
  });
}

const order = ['available', 'degraded', 'unavailable'] as const;

/** What the most fortunate worker sees. */
function mailServers(reports: readonly WorkerReport[]): DependencyState[] {
  const best = new Map<string, WorkerReport['mailServers'][number]>();
  for (const seen of reports.flatMap((report) => report.mailServers)) {
    const known = best.get(seen.name);
    if (known === undefined || order.indexOf(seen.status) < order.indexOf(known.status))
      best.set(seen.name, seen);
  }
  return [...best.values()].map((health) => ({ ...health, name: `zimbra:${health.name}` }));
}

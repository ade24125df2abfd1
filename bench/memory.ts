/**
 * Memory of a worker that holds 100,000 sessions of 10 groups out of 200. The parent is the primary with the shared
 * state, the child loads every session over a real process channel into the lifecycle that answers requests.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GatewayError } from '../src/errors.ts';
import { GroupTable } from '../src/identity/group.ts';
import { systemClock } from '../src/lib/clock.ts';
import { createLogger } from '../src/observability/logger.ts';
import { Metrics } from '../src/observability/metrics.ts';
import { workerHeapFlags } from '../src/session/heap-flags.ts';
import { boundHeapGrowth } from '../src/session/heap-growth.ts';
import { SessionLifecycle } from '../src/session/lifecycle.ts';
import { createTicket, toSessionKey } from '../src/session/ticket.ts';
import { answerCalls, Caller } from '../src/state/calls.ts';
import { createProcessChannel, type ProcessEndpoint } from '../src/state/channel.ts';
import { createHub } from '../src/state/hub.ts';
import { createHubClient } from '../src/state/hub-client.ts';
import type { StoredSession } from '../src/state/session-store.ts';
import { residentMiB } from './harness/cpu.ts';
import { printConditions, report } from './harness/report.ts';

const sessions = 100_000;
const distinctGroups = 200;
const groupsPerSession = 10;
const limitMiB = 260;
const chunk = 500;
const hourMs = 3_600_000;
/** What a worker looks like after the morning's rush, not in the middle of it. */
const settleMs = 5_000;

const callSubject = 'bench.memory';

interface WorkerCalls {
  /** Answers how many of the tickets opened a session. */
  load(tickets: readonly string[]): Promise<number>;
  held(): Promise<number>;
}

/** Whether the worker stays within its limit. */
export async function run(): Promise<boolean> {
  const quiet = { account: { failures: 5, windowMs: 1_000, lockForMs: 1_000 } };
  using hub = createHub({
    directory: ':memory:',
    clock: systemClock,
    logger: createLogger({ level: 'warn', sink: process.stderr }),
    idleTimeoutMs: hourMs,
    attemptLimits: { ...quiet, address: quiet.account },
  });
  const child = fork(fileURLToPath(import.meta.url), ['worker'], {
    serialization: 'advanced',
    execArgv: [...workerHeapFlags],
  });
  try {
    const channel = createProcessChannel(child);
    hub.attach(channel);
    const worker = new Caller<WorkerCalls>(channel, callSubject, {
      clock: systemClock,
      deadlineMs: 60_000,
      toError: (reason) => new GatewayError('SESSION_STORE_UNAVAILABLE', `the worker ${reason}`),
    });
    await once(child, 'message');
    const emptyMiB = residentMiB(child.pid as number);
    const startedAt = performance.now();
    for (let at = 0; at < sessions; at += chunk) {
      const tickets = Array.from({ length: chunk }, createTicket);
      await Promise.all(
        tickets.map(async (ticket, i) => await hub.sessions.save(createSession(ticket, at + i))),
      );
      if ((await worker.call('load', tickets)) !== chunk) throw new Error('a session was not found');
    }
    const loadedMs = performance.now() - startedAt;
    const rushMiB = residentMiB(child.pid as number);
    await sleep(settleMs);
    const held = await worker.call('held');
    if (held !== sessions) throw new Error(`the worker holds ${held} sessions`);
    return report({
      name: `worker with ${sessions} sessions of ${groupsPerSession} groups`,
      value: residentMiB(child.pid as number),
      limit: limitMiB,
      unit: 'MiB RSS',
      detail: `${emptyMiB.toFixed(0)} MiB without sessions, ${rushMiB.toFixed(0)} MiB right after loading them in ${(loadedMs / 1_000).toFixed(1)} s`,
    });
  } finally {
    child.kill('SIGKILL');
  }
}

function createSession(ticket: string, number: number): StoredSession {
  const nowMs = Date.now();
  const groups = Array.from({ length: groupsPerSession }, (_, i) => {
    const name = `department-${(number * 7 + i * 13) % distinctGroups}`;
    return { name, dn: `cn=${name},ou=groups,dc=corp,dc=example,dc=com`, directory: 'corp' };
  });
  return {
    key: toSessionKey(ticket),
    principal: {
      provider: 'corp',
      subject: crypto.randomUUID(),
      username: `person${number}`,
      email: `person${number}@corp.example.com`,
      displayName: `Иван Петров ${number}`,
      givenName: `Иван ${number}`,
      familyName: `Петров ${number}`,
      groups,
      roles: ['editor'],
      accessLevel: 'user',
      attributes: {},
    },
    authenticatedAtMs: nowMs,
    expiresAtMs: nowMs + 12 * hourMs,
    lastUsedAtMs: nowMs,
    refreshedAtMs: nowMs,
  };
}

/** The child: everything a worker imports, and the part of it that holds sessions. */
async function work(endpoint: ProcessEndpoint): Promise<void> {
  boundHeapGrowth();
  await import('../src/compose.ts');
  const channel = createProcessChannel(endpoint);
  const client = createHubClient({ channel, clock: systemClock });
  const lifecycle = new SessionLifecycle({
    store: client.sessions,
    groups: new GroupTable(),
    refresher: async (principal) => ({ kind: 'current', principal, stale: false }),
    clock: systemClock,
    logger: createLogger({ level: 'warn', sink: process.stderr }),
    metrics: new Metrics(),
    idleTimeoutMs: hourMs,
    absoluteTimeoutMs: 12 * hourMs,
    refreshIntervalMs: hourMs / 12,
  });
  answerCalls<WorkerCalls>(
    channel,
    callSubject,
    {
      load: async (tickets) => {
        const loaded = await Promise.all(tickets.map(async (ticket) => await lifecycle.load(ticket)));
        return loaded.filter((session) => session !== undefined).length;
      },
      held: async () => lifecycle.cachedSessions,
    },
    { onDefect: (_method, error) => console.error(error) },
  );
  endpoint.send?.({ ready: true }, () => {});
}

if (process.argv[2] === 'worker') {
  await work(process);
} else if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

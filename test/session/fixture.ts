/** One shared state with as many workers as a test asks for, on clocks and channels that the test controls. */
import { GroupTable } from '#src/identity/group.ts';
import type { RefreshOutcome } from '#src/identity/outcome.ts';
import type { Principal } from '#src/identity/principal.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { SessionLifecycle, type SessionLifecycleOptions } from '#src/session/lifecycle.ts';
import type { Refresher } from '#src/session/refresh.ts';
import { type Channel, createChannelPair } from '#src/state/channel.ts';
import { createHub, type Hub } from '#src/state/hub.ts';
import { createHubClient, type HubClient } from '#src/state/hub-client.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;

export interface Worker {
  readonly lifecycle: SessionLifecycle;
  readonly client: HubClient;
  readonly metrics: Metrics;
  /** While true nothing this worker says reaches the primary. */
  isCutOff: boolean;
  /** While an array, what the primary says is kept there; `deliver` hands it over at once, as one read of a pipe does. */
  held: (() => void)[] | undefined;
  deliver(): void;
}

export class SessionFixture implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly log: LogLines = collectLog();
  readonly hub: Hub;
  readonly #workers: Worker[] = [];
  readonly #deadlineMs: number;

  /** `deadlineMs`: long enough for a busy machine; histories with many partitions wait for less. */
  constructor(directory = ':memory:', deadlineMs = 1_000) {
    this.#deadlineMs = deadlineMs;
    this.hub = createHub({
      directory,
      clock: this.clock,
      logger: this.log.logger,
      idleTimeoutMs: hourMs,
      attemptLimits: contractLimits,
    });
  }

  worker(options: Partial<SessionLifecycleOptions> = {}): Worker {
    const [primary, end] = createChannelPair();
    this.hub.attach(primary);
    const metrics = new Metrics();
    const link: Pick<Worker, 'isCutOff' | 'held' | 'deliver'> = {
      isCutOff: false,
      held: undefined,
      deliver: () => {
        const held = link.held ?? [];
        link.held = undefined;
        for (const hand of held) hand();
      },
    };
    const channel: Channel = {
      ...end,
      post: (subject, body) => {
        if (!link.isCutOff) end.post(subject, body);
      },
      on: (subject, listener) =>
        end.on(subject, (body) => {
          if (link.held === undefined) listener(body);
          else link.held.push(() => listener(body));
        }),
    };
    const client = createHubClient({
      channel,
      clock: this.clock,
      deadlineMs: this.#deadlineMs,
      heartbeatMs: 50,
    });
    const lifecycle = new SessionLifecycle({
      store: client.sessions,
      groups: new GroupTable(),
      refresher: stayAsYouAre,
      clock: this.clock,
      logger: this.log.logger,
      metrics,
      idleTimeoutMs: hourMs,
      absoluteTimeoutMs: 12 * hourMs,
      refreshIntervalMs: 5 * minuteMs,
      ...options,
    });
    const worker: Worker = Object.assign(link, { lifecycle, client, metrics });
    this.#workers.push(worker);
    return worker;
  }

  /** Moves the clock; workers that can hear the primary have heard it at the new time. */
  async advance(byMs: number): Promise<void> {
    this.clock.advance(byMs);
    for (const { client, isCutOff } of this.#workers) if (!isCutOff) await client.sessions.count();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { lifecycle, client } of this.#workers) {
      await lifecycle[Symbol.asyncDispose]();
      client[Symbol.dispose]();
    }
    this.hub[Symbol.dispose]();
  }
}

export const stayAsYouAre: Refresher = async (principal): Promise<RefreshOutcome> => ({
  kind: 'current',
  principal,
  stale: false,
});

export function createPrincipal(changes: Partial<Principal> = {}): Principal {
  const groups = new GroupTable();
  return {
    provider: 'corp',
    subject: 'a81bc81b-dead-4e5d-abff-90865d1e13b1',
    username: 'nina',
    email: 'nina@example.com',
    displayName: 'Нина Čavić',
    givenName: 'Нина',
    familyName: undefined,
    groups: [groups.intern('staff', 'cn=staff,ou=groups,dc=example,dc=com', 'corp'), groups.intern('guests')],
    roles: ['editor'],
    accessLevel: 'auditor',
    attributes: { department: ['R&D'] },
    ...changes,
  };
}

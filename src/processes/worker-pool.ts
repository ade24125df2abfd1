/**
 * The worker processes as the primary keeps them: forked, asked, replaced when they die or when the configuration
 * changes, drained at the end.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerReport } from '../compose.ts';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { workerHeapFlags } from '../session/heap-flags.ts';
import { answerCalls, Caller } from '../state/calls.ts';
import { createProcessChannel, type ProcessEndpoint } from '../state/channel.ts';
import type { Hub } from '../state/hub.ts';
import type { KeyRing } from '../state/key-ring.ts';
import { CrashBackOff } from './crash-back-off.ts';
import {
  type PrimaryCalls,
  primaryCalls,
  type WorkerCalls,
  type WorkerSettings,
  workerCalls,
} from './messages.ts';

/** A worker that does not answer within this time is left out of a report. */
const reportDeadlineMs = 2_000;
/** A draining worker may say that it drains until then; its exit is what is waited for. */
const drainGraceMs = 1_000;
/** Pause before a worker that did not take new keys is offered them again. */
const keysRetryMs = 500;

/** Requests in flight at a worker that is being replaced may take this long, whatever the drain timeout is. */
const retireTimeoutMs = 600_000;
/** Silent connections to it are closed after this; most front proxies have used theirs by then. */
const retireIdleMs = 10_000;

export interface WorkerPoolOptions {
  readonly hub: Hub;
  /** Arguments of a worker process. */
  readonly args: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keeps what workers counted that are gone. */
  readonly metrics: Metrics;
}

/** The workers of one configuration. */
export interface GenerationOptions {
  /** As they are when a worker starts. */
  readonly settings: () => WorkerSettings;
  /** Added to the environment of this process. */
  readonly environment: Readonly<Record<string, string>>;
  readonly count: number;
  readonly drainTimeoutMs: number;
}

interface Generation extends GenerationOptions {
  /** The public address, once every worker listens. */
  readonly ready: PromiseWithResolvers<string>;
  isReady: boolean;
}

interface Member {
  readonly generation: Generation;
  readonly worker: Worker;
  readonly calls: Caller<WorkerCalls>;
  readonly startedAtMs: number;
  isListening: boolean;
  /** Told to end: its exit is no accident. */
  isRetiring: boolean;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #backOff: CrashBackOff;
  readonly #members = new Map<number, Member>();
  #current: Generation | undefined;
  #isDraining = false;
  #keys: KeyRing | undefined;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#backOff = new CrashBackOff(options.clock);
    cluster.setupPrimary({
      args: [...options.args],
      execArgv: [...process.execArgv, ...workerHeapFlags],
      serialization: 'advanced',
    });
  }

  /** Forks all workers. Resolves with the public address when each is listening; rejects when one cannot start. */
  async start(options: GenerationOptions): Promise<string> {
    const generation = toGeneration(options);
    this.#current = generation;
    return await this.#launch(generation);
  }

  /**
   * Starts workers of another configuration beside the present ones, which end once the new ones listen and their own
   * requests are answered. Resolves with the public address; rejects when a new one cannot start: then nothing changed.
   */
  async replace(options: GenerationOptions): Promise<string> {
    const previous = this.#current;
    const next = toGeneration(options);
    try {
      const address = await this.#launch(next);
      this.#current = next;
      void this.#end(previous, { timeoutMs: retireTimeoutMs, idleMs: retireIdleMs });
      return address;
    } catch (error) {
      await this.#end(next, { timeoutMs: 0, idleMs: 0 });
      throw error;
    }
  }

  get isCrashing(): boolean {
    return this.#backOff.isCrashing;
  }

  get listening(): number {
    return this.#listening(this.#current);
  }

  /** Reports of the workers that answer in time, of those that are ending too. */
  async reports(): Promise<readonly WorkerReport[]> {
    const asked = [...this.#members.values()].filter(({ isListening }) => isListening);
    const answers = await Promise.allSettled(asked.map(async ({ calls }) => await calls.call('report')));
    return answers.flatMap((answer, i) =>
      // Who said farewell meanwhile is in the sums already.
      answer.status === 'fulfilled' && asked[i]?.isListening === true ? [answer.value] : [],
    );
  }

  /**
   * Hands new keys to every worker, those that are starting included; `settings` must answer with them already.
   * Resolves when each has taken them or is gone: one that went on with a retired key would be refused by everybody.
   */
  async useKeys(ring: KeyRing): Promise<void> {
    this.#keys = ring;
    await Promise.all([...this.#members.values()].map(async (member) => await this.#handKeys(member)));
  }

  async #handKeys({ worker, calls }: Member): Promise<void> {
    while (this.#keys !== undefined && this.#members.has(worker.id) && !this.#isDraining) {
      try {
        await calls.probe('useKeys', this.#keys);
        return;
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        this.#options.logger.warn('worker.keys-not-taken', { pid: worker.process.pid, error });
        await sleep(keysRetryMs, undefined, { ref: false });
      }
    }
  }

  /** Ends every worker: requests in flight are answered, then, after the drain timeout, cut. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    clearTimeout(this.#restart);
    const timeoutMs = this.#current?.drainTimeoutMs ?? 0;
    await this.#end(undefined, { timeoutMs, idleMs: 0 });
  }

  /** Ends the workers of a generation; `undefined`: all. */
  async #end(
    generation: Generation | undefined,
    { timeoutMs, idleMs }: { readonly timeoutMs: number; readonly idleMs: number },
  ): Promise<void> {
    const { logger } = this.#options;
    const ending = [...this.#members.values()].filter(
      (member) => generation === undefined || member.generation === generation,
    );
    await Promise.all(
      ending.map(async (member) => {
        const { worker, calls } = member;
        member.isRetiring = true;
        const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
        const kill = setTimeout(() => worker.process.kill('SIGKILL'), timeoutMs + drainGraceMs);
        calls.call('drain', timeoutMs, idleMs).catch((error: unknown) => {
          // One that is gone already has nothing to drain; one that hangs is killed by the timer.
          if (!(error instanceof GatewayError)) logger.error('worker.drain-failed', { error });
        });
        await exited;
        clearTimeout(kill);
      }),
    );
  }

  #listening(generation: Generation | undefined): number {
    return [...this.#members.values()].filter(
      (member) => member.generation === generation && member.isListening && !member.isRetiring,
    ).length;
  }

  async #launch(generation: Generation): Promise<string> {
    for (let i = 0; i < generation.count; i++) this.#fork(generation);
    return await generation.ready.promise;
  }

  #fork(generation: Generation): void {
    const { hub, clock, logger, metrics } = this.#options;
    const worker = cluster.fork(generation.environment);
    const channel = createProcessChannel(worker.process as ProcessEndpoint);
    const member: Member = {
      generation,
      worker,
      calls: new Caller<WorkerCalls>(channel, workerCalls, {
        clock,
        deadlineMs: reportDeadlineMs,
        toError: (reason) => new GatewayError('SESSION_STORE_UNAVAILABLE', `the worker ${reason}`),
      }),
      startedAtMs: clock.now(),
      isListening: false,
      isRetiring: false,
    };
    this.#members.set(worker.id, member);
    const attached = hub.attach(channel);
    const answers = answerCalls<PrimaryCalls>(
      channel,
      primaryCalls,
      {
        settings: async () => await Promise.resolve(generation.settings()),
        listening: async (address) => {
          member.isListening = true;
          if (this.#listening(generation) === generation.count) {
            generation.isReady = true;
            generation.ready.resolve(address);
          }
          await Promise.resolve();
        },
        farewell: async (report) => {
          // Not asked any more: what it counted would be counted twice.
          await metrics.absorb(report, () => {
            member.isListening = false;
          });
        },
      },
      { onDefect: (method, error) => logger.error('worker.call-failed', { method, error }) },
    );
    worker.once('exit', (code, signal) => {
      this.#members.delete(worker.id);
      member.calls[Symbol.dispose]();
      answers[Symbol.dispose]();
      attached[Symbol.dispose]();
      if (!this.#isDraining && !member.isRetiring) this.#died(member, code, signal);
    });
  }

  #died(
    { generation, worker, startedAtMs, isListening }: Member,
    code: number | null,
    signal: string | null,
  ): void {
    const { clock, logger } = this.#options;
    const facts = { pid: worker.process.pid, code, signal, wasListening: isListening };
    if (!generation.isReady) {
      // A death before all of them listened means that starting again would fail alike.
      logger.error('worker.died', facts);
      generation.ready.reject(
        new GatewayError('CONFIG_INVALID', 'a worker process could not start', {
          fields: { exitCode: code ?? 0 },
        }),
      );
      return;
    }
    const delayMs = this.#backOff.died(clock.now() - startedAtMs);
    logger.error('worker.died', { ...facts, restartInMs: delayMs });
    this.#restart = setTimeout(() => {
      // Replaced meanwhile: the workers of the new configuration are complete.
      if (!this.#isDraining && generation === this.#current) this.#fork(generation);
    }, delayMs);
  }
}

function toGeneration(options: GenerationOptions): Generation {
  return { ...options, ready: Promise.withResolvers<string>(), isReady: false };
}

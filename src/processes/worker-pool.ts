/** The worker processes as the primary keeps them: forked, asked, replaced when they die, drained at the end. */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerReport } from '../compose.ts';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
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

export interface WorkerPoolOptions {
  readonly hub: Hub;
  /** As they are when a worker starts. */
  readonly settings: () => WorkerSettings;
  readonly count: number;
  /** Arguments of a worker process. */
  readonly args: readonly string[];
  readonly drainTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Member {
  readonly worker: Worker;
  readonly calls: Caller<WorkerCalls>;
  readonly startedAtMs: number;
  isListening: boolean;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #backOff: CrashBackOff;
  readonly #members = new Map<number, Member>();
  readonly #ready = Promise.withResolvers<string>();
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
  async start(): Promise<string> {
    for (let i = 0; i < this.#options.count; i++) this.#fork();
    return await this.#ready.promise;
  }

  get isCrashing(): boolean {
    return this.#backOff.isCrashing;
  }

  get listening(): number {
    return [...this.#members.values()].filter(({ isListening }) => isListening).length;
  }

  /** Reports of the workers that answer in time. */
  async reports(): Promise<readonly WorkerReport[]> {
    const asked = [...this.#members.values()].filter(({ isListening }) => isListening);
    const answers = await Promise.allSettled(asked.map(async ({ calls }) => await calls.call('report')));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
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

  /** Ends every worker: requests in flight are answered, then, after `drainTimeoutMs`, cut. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    clearTimeout(this.#restart);
    const { drainTimeoutMs, logger } = this.#options;
    await Promise.all(
      [...this.#members.values()].map(async ({ worker, calls }) => {
        const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
        const kill = setTimeout(() => worker.process.kill('SIGKILL'), drainTimeoutMs + drainGraceMs);
        calls.call('drain').catch((error: unknown) => {
          // One that is gone already has nothing to drain; one that hangs is killed by the timer.
          if (!(error instanceof GatewayError)) logger.error('worker.drain-failed', { error });
        });
        await exited;
        clearTimeout(kill);
      }),
    );
  }

  #fork(): void {
    const { hub, settings, clock, logger } = this.#options;
    const worker = cluster.fork();
    const channel = createProcessChannel(worker.process as ProcessEndpoint);
    const member: Member = {
      worker,
      calls: new Caller<WorkerCalls>(channel, workerCalls, {
        clock,
        deadlineMs: reportDeadlineMs,
        toError: (reason) => new GatewayError('SESSION_STORE_UNAVAILABLE', `the worker ${reason}`),
      }),
      startedAtMs: clock.now(),
      isListening: false,
    };
    this.#members.set(worker.id, member);
    const attached = hub.attach(channel);
    const answers = answerCalls<PrimaryCalls>(
      channel,
      primaryCalls,
      {
        settings: async () => await Promise.resolve(settings()),
        listening: async (address) => {
          member.isListening = true;
          if (this.listening === this.#options.count) this.#ready.resolve(address);
          await Promise.resolve();
        },
      },
      { onDefect: (method, error) => logger.error('worker.call-failed', { method, error }) },
    );
    worker.once('exit', (code, signal) => {
      this.#members.delete(worker.id);
      member.calls[Symbol.dispose]();
      answers[Symbol.dispose]();
      attached[Symbol.dispose]();
      if (!this.#isDraining) this.#replace(member, code, signal);
    });
  }

  #replace({ worker, startedAtMs, isListening }: Member, code: number | null, signal: string | null): void {
    const { clock, logger } = this.#options;
    // Before the first start is complete a death means that starting again would fail alike.
    this.#ready.reject(
      new GatewayError('CONFIG_INVALID', 'a worker process could not start', {
        fields: { exitCode: code ?? 0 },
      }),
    );
    const delayMs = this.#backOff.died(clock.now() - startedAtMs);
    logger.error('worker.died', {
      pid: worker.process.pid,
      code,
      signal,
      wasListening: isListening,
      restartInMs: delayMs,
    });
    this.#restart = setTimeout(() => {
      if (!this.#isDraining) this.#fork();
    }, delayMs);
  }
}

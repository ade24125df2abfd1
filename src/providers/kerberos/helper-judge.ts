/**
 * Keeps one helper process alive and asks it: restarts it when it crashes or hangs, replaces it before its leaks
 * matter, and never lets the end of a helper become the answer to a person.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../../errors.ts';
import { Deadline } from '../../lib/deadline.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import type { Logger } from '../../observability/logger.ts';
import { helperEnvironment, type KerberosEnvironment } from './environment.ts';
import { HelperGoneError, HelperProcess } from './helper-process.ts';
import { Turns } from './turns.ts';
import type { TicketJudge, Verdict } from './verdict.ts';

export interface HelperLimits {
  /** One validation takes a millisecond; longer means that it never ends. */
  readonly answerTimeoutMs: number;
  /** How long a token waits for a helper that is being started. */
  readonly startTimeoutMs: number;
  readonly maxRefusals: number;
  readonly maxRssBytes: number;
}

export const helperLimits: HelperLimits = {
  answerTimeoutMs: 5_000,
  startTimeoutMs: 5_000,
  maxRefusals: 20_000,
  maxRssBytes: 256 * 1_048_576,
};

export interface HelperJudgeOptions {
  readonly settings: KerberosEnvironment;
  readonly logger: Logger;
  readonly limits?: Partial<HelperLimits>;
  /** Another program in place of the real helper, for tests of crashes and hangs. */
  readonly program?: string;
}

/** A helper that lived for less is restarted after a pause that doubles. */
const shortLifeMs = 10_000;
const firstPauseMs = 50;
const longestPauseMs = 5_000;

export class HelperJudge implements TicketJudge {
  readonly #options: HelperJudgeOptions;
  readonly #limits: HelperLimits;
  readonly #turns = new Turns();
  readonly #secondChances = new Semaphore(1);
  readonly #retiring = new Set<Promise<void>>();
  readonly #end = new AbortController();
  /** The one that is asked; pending while it starts or while a pause goes by. */
  #current: Promise<HelperProcess>;
  /** The same without waiting, when there is nothing to wait for. */
  #ready: HelperProcess | undefined;
  /** The helper behind `#current`, also while it starts. */
  #running: HelperProcess | undefined;
  /** Starts while the running one still answers. */
  #successor: HelperProcess | undefined;
  #pauseMs = 0;

  /** Starts the first helper at once. */
  constructor(options: HelperJudgeOptions) {
    this.#options = options;
    this.#limits = { ...helperLimits, ...options.limits };
    this.#current = this.#start();
  }

  async judge(token: string, signal: AbortSignal): Promise<Verdict> {
    const turn = this.#turns.enter(signal);
    if (turn !== undefined) await turn;
    try {
      return await this.#ask(token, signal);
    } catch (error) {
      if (!(error instanceof HelperGoneError) || error.isHung) throw toUnavailable(error);
      return await this.#askAgain(token, signal);
    } finally {
      this.#turns.leave();
    }
  }

  /**
   * Most likely another token or the kernel ended the helper: once more, by the next one. One at a time, so that a token
   * that ends every helper does it alone.
   */
  async #askAgain(token: string, signal: AbortSignal): Promise<Verdict> {
    try {
      const verdict = await this.#secondChances.run(async () => await this.#ask(token, signal));
      // The first helper may have recorded the ticket before it ended.
      if (verdict.kind === 'refused' && verdict.reason === 'replay') {
        throw new HelperGoneError('the helper ended after it had recorded the ticket');
      }
      return verdict;
    } catch (error) {
      throw toUnavailable(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await Promise.all([this.#running?.end(), this.#successor?.end(), ...this.#retiring]);
  }

  async #ask(token: string, signal: AbortSignal): Promise<Verdict> {
    const helper = this.#ready ?? (await this.#awaitHelper(signal));
    const verdict = await helper.ask(token);
    const { maxRefusals, maxRssBytes } = this.#limits;
    if (helper.refusals >= maxRefusals || helper.rssBytes > maxRssBytes) this.#replace(helper);
    return verdict;
  }

  async #awaitHelper(signal: AbortSignal): Promise<HelperProcess> {
    return await new Deadline(this.#limits.startTimeoutMs, signal).race(
      this.#current,
      () => new HelperGoneError('no helper process came up in time', true),
    );
  }

  #spawn(): HelperProcess {
    const { settings, program } = this.#options;
    const helper: HelperProcess = new HelperProcess({
      environment: helperEnvironment(settings),
      answerTimeoutMs: this.#limits.answerTimeoutMs,
      onGone: (reason) => this.#gone(helper, reason),
      ...(program === undefined ? {} : { program }),
    });
    return helper;
  }

  #start(): Promise<HelperProcess> {
    return this.#use(this.#spawn());
  }

  /** Asks this one from now on, as soon as it is ready. */
  #use(helper: HelperProcess): Promise<HelperProcess> {
    this.#running = helper;
    this.#ready = undefined;
    const ready = helper.ready.then(() => {
      if (this.#running === helper) this.#ready = helper;
      return helper;
    });
    // Whoever asks sees the failure; `#gone` has arranged for the next one.
    ready.catch(() => undefined);
    return ready;
  }

  #gone(helper: HelperProcess, reason: string): void {
    if (this.#end.signal.aborted) return;
    const lifeMs = Math.round(performance.now() - helper.startedAt);
    if (helper === this.#successor) {
      this.#successor = undefined;
      this.#options.logger.warn('kerberos-helper-ended', { reason, lifeMs });
      return;
    }
    // One that was replaced has done its work.
    if (helper !== this.#running) return;
    this.#ready = undefined;
    this.#options.logger.error('kerberos-helper-ended', { reason, lifeMs });
    const successor = this.#successor;
    if (successor !== undefined) {
      this.#successor = undefined;
      this.#current = this.#use(successor);
      return;
    }
    this.#pauseMs =
      lifeMs > shortLifeMs ? 0 : Math.min(Math.max(this.#pauseMs * 2, firstPauseMs), longestPauseMs);
    this.#current = this.#startAfter(this.#pauseMs);
  }

  #startAfter(pauseMs: number): Promise<HelperProcess> {
    const { signal } = this.#end;
    const started = sleep(pauseMs, undefined, { signal }).then(async () => await this.#start());
    started.catch(() => undefined);
    return started;
  }

  /** The new one first; the old one answers what it was asked. */
  #replace(helper: HelperProcess): void {
    if (this.#successor !== undefined || helper !== this.#running || this.#end.signal.aborted) return;
    const successor = this.#spawn();
    this.#successor = successor;
    const { refusals, rssBytes } = helper;
    successor.ready.then(
      () => {
        if (this.#successor !== successor) return;
        this.#successor = undefined;
        this.#current = this.#use(successor);
        this.#options.logger.info('kerberos-helper-replaced', { refusals, rssBytes });
        const retiring = helper.retire().finally(() => this.#retiring.delete(retiring));
        this.#retiring.add(retiring);
      },
      // `#gone` has reported it; the old one goes on until the next attempt.
      () => undefined,
    );
  }
}

function toUnavailable(cause: unknown): Error {
  if (!(cause instanceof HelperGoneError)) return cause as Error;
  return new GatewayError('PROVIDER_UNAVAILABLE', 'the helper process did not judge the ticket', {
    cause,
    retryAfterSeconds: 1,
  });
}

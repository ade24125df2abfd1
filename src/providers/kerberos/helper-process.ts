/** One helper process: starts it, asks it, notices when it is gone or hangs. Replacing it is helper-judge.ts. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Greeting, Question } from './helper-messages.ts';
import type { Verdict } from './verdict.ts';

/** The helper did not answer this token. */
export class HelperGoneError extends Error {
  override readonly name = 'HelperGoneError';
  /** Whether this very token was what it hung on. */
  readonly isHung: boolean;

  constructor(message: string, isHung = false) {
    super(message);
    this.isHung = isHung;
  }
}

export interface HelperOptions {
  /** The whole environment of the process. */
  readonly environment: Readonly<Record<string, string>>;
  /** A helper that is silent for longer is killed. */
  readonly answerTimeoutMs: number;
  /** Called once, also when it could not be started. */
  readonly onGone: (reason: string) => void;
  /** Another program in place of the real one, for tests of crashes and hangs. */
  readonly program?: string;
}

interface Waiting {
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: HelperGoneError) => void;
  readonly askedAt: number;
}

const ownProgram = fileURLToPath(new URL('helper-entry.ts', import.meta.url));
/** A process takes a tenth of a second to come up, or several on a machine that is very busy. */
const greetingTimeoutMs = 30_000;
/** How long a helper that was told to end may take. */
const endTimeoutMs = 2_000;

export class HelperProcess {
  readonly startedAt = performance.now();
  /** Settles when it is ready to judge; rejects with HelperGoneError when it ends before. */
  readonly ready: Promise<void>;
  readonly #options: HelperOptions;
  readonly #child: ChildProcess;
  /** The oldest first. */
  readonly #waiting = new Map<number, Waiting>();
  /** Sent at the end of the event loop's turn. */
  #unsent: Question[] = [];
  /** One for all who wait: looks at the oldest. */
  #watch: NodeJS.Timeout | undefined;
  #lastId = 0;
  #refusals = 0;
  #rssBytes = 0;
  #isGone = false;
  #whenIdle: (() => void) | undefined;

  constructor(options: HelperOptions) {
    this.#options = options;
    const greeting = Promise.withResolvers<void>();
    this.ready = greeting.promise;
    // Whoever waits for it sees the failure; when nobody does, `onGone` has said it.
    greeting.promise.catch(() => undefined);
    this.#child = fork(options.program ?? ownProgram, [], {
      env: options.environment,
      // Options of this process are not meant for it: test runners, inspectors, heap sizes.
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const silence = setTimeout(() => this.#child.kill('SIGKILL'), greetingTimeoutMs);
    this.#child.on('message', (message: readonly Answer[] | Greeting) => {
      if (!('ready' in message)) {
        for (const answer of message) this.#take(answer);
        return;
      }
      clearTimeout(silence);
      greeting.resolve();
    });
    const gone = (reason: string): void => {
      clearTimeout(silence);
      greeting.reject(new HelperGoneError(reason));
      this.#gone(reason);
    };
    this.#child.once('exit', (code, signal) => gone(`the helper ended (${signal ?? code})`));
    this.#child.once('error', (error) => gone(`the helper failed: ${error.message}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Failed validations so far: each of them leaks a little in libgssapi's binding. */
  get refusals(): number {
    return this.#refusals;
  }

  /** Resident memory when it was last told. */
  get rssBytes(): number {
    return this.#rssBytes;
  }

  /** Rejects with HelperGoneError. */
  ask(token: string): Promise<Verdict> {
    return new Promise<Verdict>((resolve, reject) => {
      if (this.#isGone) {
        reject(new HelperGoneError('the helper is gone'));
        return;
      }
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject, askedAt: performance.now() });
      this.#watch ??= setTimeout(this.#lookAtOldest, this.#options.answerTimeoutMs);
      if (this.#unsent.push({ id, token }) === 1) setImmediate(this.#send);
    });
  }

  /** Answers what it was asked already, then ends. */
  async retire(): Promise<void> {
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    await this.end();
  }

  async end(): Promise<void> {
    if (this.#isGone) return;
    const gone = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endTimeoutMs);
    if (this.#child.connected) this.#child.disconnect();
    await gone;
    clearTimeout(timer);
  }

  readonly #send = (): void => {
    const questions: readonly Question[] = this.#unsent;
    this.#unsent = [];
    // A channel that is closed means that `exit` follows, and it answers everybody who waits.
    if (!this.#isGone) this.#child.send(questions as Question[], ignore);
  };

  #take({ id, verdict, rssBytes }: Answer): void {
    this.#rssBytes = rssBytes ?? this.#rssBytes;
    if (verdict.kind !== 'accepted') this.#refusals++;
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.resolve(verdict);
    if (this.#waiting.size === 0) this.#whenIdle?.();
  }

  readonly #lookAtOldest = (): void => {
    this.#watch = undefined;
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    const [id, { askedAt }] = oldest;
    const leftMs = askedAt + this.#options.answerTimeoutMs - performance.now();
    if (leftMs > 0) this.#watch = setTimeout(this.#lookAtOldest, Math.ceil(leftMs));
    else this.#hung(id);
  };

  /** The others it was asked learn of it by its end, and may be asked of the next one. */
  #hung(id: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.reject(new HelperGoneError('the helper did not answer in time', true));
    this.#child.kill('SIGKILL');
  }

  #gone(reason: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    clearTimeout(this.#watch);
    for (const { reject } of this.#waiting.values()) reject(new HelperGoneError(reason));
    this.#waiting.clear();
    this.#whenIdle?.();
    this.#options.onGone(reason);
  }
}

function ignore(): void {}

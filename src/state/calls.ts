/**
 * Requests with answers over a channel: every call has a deadline, and a side that stays silent is not asked again
 * until it is heard. Knows no method by name.
 */
import { type ErrorCode, type ErrorFields, GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import { type Channel, openTopic, type Topic } from './channel.ts';

/** What may be called: names, arguments and answers that survive structured clone. */
export type Methods<Api> = { [Name in keyof Api]: (...args: never[]) => Promise<unknown> };

interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: RemoteError };

interface RemoteError {
  /** Absent for a defect of the answering side. */
  readonly code?: ErrorCode;
  readonly message: string;
  readonly fields?: ErrorFields;
  readonly retryAfterSeconds?: number;
}

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface CallerOptions {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** The error for "no answer". */
  readonly toError: (reason: string) => GatewayError;
}

/** More calls than that without an answer mean that the other side does not keep up. */
const maxPending = 10_000;

export class Caller<Api extends Methods<Api>> implements Disposable {
  readonly #options: CallerOptions;
  readonly #topic: Topic<Request, Reply>;
  readonly #pending = new Map<number, PendingCall>();
  readonly #unsubscribers: readonly (() => void)[];
  #nextId = 1;
  #heardTimes = 0;
  #isSilent = false;
  #isClosed = false;
  /** When the other side last answered; 0: never. Milliseconds since the epoch. */
  lastHeardAtMs = 0;

  constructor(channel: Channel, subject: string, options: CallerOptions) {
    this.#options = options;
    this.#topic = openTopic(channel, subject);
    this.#unsubscribers = [
      this.#topic.on((reply) => this.#answered(reply)),
      channel.onClose(() => this.#close('the other process is gone')),
    ];
  }

  /** Throws the error of the other side, or `toError` when it does not answer in time. */
  async call<Name extends keyof Api & string>(
    method: Name,
    ...args: Parameters<Api[Name]>
  ): Promise<Awaited<ReturnType<Api[Name]>>> {
    // One caller has already waited in vain: the next ones are told at once.
    if (this.#isSilent) throw this.#options.toError('does not answer');
    return await this.#send(method, args);
  }

  /** As `call`, but asked also of a side that is silent: a sign of life. */
  async probe<Name extends keyof Api & string>(
    method: Name,
    ...args: Parameters<Api[Name]>
  ): Promise<Awaited<ReturnType<Api[Name]>>> {
    return await this.#send(method, args);
  }

  /** Something else than an answer arrived from the other side. */
  heard(): void {
    this.lastHeardAtMs = this.#options.clock.now();
    this.#heardTimes++;
    this.#isSilent = false;
  }

  [Symbol.dispose](): void {
    for (const unsubscribe of this.#unsubscribers) unsubscribe();
    this.#close('is shutting down');
  }

  async #send<Result>(method: string, args: readonly unknown[]): Promise<Result> {
    const { deadlineMs, toError } = this.#options;
    if (this.#isClosed) throw toError('is gone');
    if (this.#pending.size >= maxPending) throw toError('does not keep up');
    const id = this.#nextId++;
    const heardBefore = this.#heardTimes;
    return await new Promise<Result>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        this.#isSilent = this.#heardTimes === heardBefore;
        reject(toError(`did not answer within ${deadlineMs} ms`));
      }, deadlineMs);
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      this.#topic.post({ id, method, args });
    });
  }

  #answered(reply: Reply): void {
    this.heard();
    const call = this.#pending.get(reply.id);
    // Answered after its deadline: the caller has already been told.
    if (call === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(call.timer);
    if ('value' in reply) call.resolve(reply.value);
    else call.reject(this.#toLocalError(reply.error));
  }

  #toLocalError({ code, message, fields, retryAfterSeconds }: RemoteError): Error {
    if (code === undefined) return this.#options.toError(message);
    return new GatewayError(code, message, {
      ...(fields === undefined ? {} : { fields }),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    });
  }

  #close(reason: string): void {
    this.#isClosed = true;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#options.toError(reason));
    }
    this.#pending.clear();
  }
}

export interface AnswerOptions {
  /** A defect of a method, not one of its announced failures. */
  readonly onDefect: (method: string, error: unknown) => void;
}

/** Answers calls by the methods of `api`, and no others. Returns the end of it. */
export function answerCalls<Api extends Methods<Api>>(
  channel: Channel,
  subject: string,
  api: Api,
  options: AnswerOptions,
): Disposable {
  const topic = openTopic<Reply, Request>(channel, subject);
  const methods = new Map(
    Object.entries(api) as [string, (...args: readonly unknown[]) => Promise<unknown>][],
  );
  const answer = async ({ id, method, args }: Request): Promise<void> => {
    try {
      const run = methods.get(method);
      if (run === undefined) throw new TypeError(`no method ${method}`);
      topic.post({ id, value: await run(...args) });
    } catch (error) {
      if (!(error instanceof GatewayError)) options.onDefect(method, error);
      topic.post({ id, error: toRemoteError(error) });
    }
  };
  const unsubscribe = topic.on((request) => void answer(request));
  return { [Symbol.dispose]: unsubscribe };
}

function toRemoteError(error: unknown): RemoteError {
  if (!(error instanceof GatewayError)) return { message: 'failed' };
  const { code, message, fields, retryAfterSeconds } = error;
  return { code, message, fields, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}

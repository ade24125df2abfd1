/** Streams one upstream answer to the client: raw headers through, back-pressure and aborts in both directions. */
import type { Duplex } from 'node:stream';
import { GatewayError } from '../errors.ts';
import { cutOff, type Exchange, isGone } from '../http/exchange.ts';
import { isHttp2 } from '../http/http2-request.ts';
import { leaveBody } from '../http/unread-body.ts';
import { connectionOptions } from '../lib/connection-options.ts';
import { hopByHop } from './hop-by-hop.ts';
import type { AnswerHead } from './http1/answer-head.ts';
import type { Asker, Connection } from './http1/connection.ts';
import { mergedFields } from './merged-fields.ts';
import type { SlowClients, Unread } from './slow-clients.ts';

export interface AnswerListener {
  /** The head of an answer came. */
  onHead(): void;
  onAnswered(status: number): void;
  /** The server speaks WebSocket from now on; `headers` as they go to the client. Only where that was asked for. */
  onUpgraded(headers: readonly string[], socket: Duplex): void;
  onFailed(error: unknown, canAnswer: boolean): void;
}

export interface AnswerExpectation {
  readonly method: string;
  readonly protectedCookies: readonly string[];
  readonly answerHeaders: readonly string[];
}

export class AnswerStream implements Asker {
  readonly #exchange: Exchange;
  readonly #expectation: AnswerExpectation;
  readonly #listener: AnswerListener;
  readonly #slowClients: SlowClients;
  readonly #deadline: NodeJS.Timeout | undefined;
  #unread: Unread | undefined;
  /** The client takes nothing for now. */
  #isHeldUp = false;
  #connection: Connection | undefined;
  #status = 0;
  #isSettled = false;
  /** Its head was refused. */
  #isSpoilt = false;

  /** `totalMs`: from now to the end of the answer. */
  constructor(
    exchange: Exchange,
    expectation: AnswerExpectation,
    totalMs: number | 'off',
    slowClients: SlowClients,
    listener: AnswerListener,
  ) {
    this.#exchange = exchange;
    this.#expectation = expectation;
    this.#listener = listener;
    this.#slowClients = slowClients;
    if (totalMs !== 'off') this.#deadline = setTimeout(() => this.abort(expired()), totalMs);
    exchange.response.on('close', this.#onClientGone);
  }

  /** Whether bytes of the request may have left. */
  get isStarted(): boolean {
    return this.#connection !== undefined;
  }

  onSending(connection: Connection): boolean {
    if (this.#isSettled) return false;
    this.#connection = connection;
    return true;
  }

  onHead({ status, fields }: AnswerHead): void {
    this.#status = status;
    this.#listener.onHead();
    const headers = answerHeaders(fields, status, this.#expectation);
    // A custom reason phrase says nothing to programs and may carry anything: the standard one is sent.
    const { request, response } = this.#exchange;
    try {
      response.writeHead(status, isHttp2(request) ? mergedFields(headers) : headers);
    } catch (error) {
      // Node keeps the fields it refused: nothing else can be said in this answer either.
      this.#isSpoilt = true;
      throw new GatewayError('UPSTREAM_PROTOCOL', 'the head of the answer cannot be passed on', {
        cause: error,
      });
    }
  }

  onUpgraded({ status, fields }: AnswerHead, socket: Duplex): void {
    this.#settle();
    this.#listener.onHead();
    this.#listener.onUpgraded(answerHeaders(fields, status, this.#expectation), socket);
  }

  onData(content: Buffer): void {
    const { response } = this.#exchange;
    const connection = this.#connection;
    if (this.#isSettled || connection === undefined || response.write(Buffer.from(content))) return;
    connection.pause(this);
    // What was read already still comes.
    if (this.#isHeldUp) return;
    this.#isHeldUp = true;
    const unread = (this.#unread ??= { sinceMs: 0, onForgotten: () => this.abort(clientGone()) });
    this.#slowClients.leftUnread(unread);
    response.once('drain', () => {
      this.#isHeldUp = false;
      this.#slowClients.taken(unread);
      connection.resume(this);
    });
  }

  onEnd(last: Buffer | undefined): void {
    if (this.#isSettled) return;
    this.#settle();
    leaveBody(this.#exchange);
    endWith(this.#exchange, last);
    this.#listener.onAnswered(this.#status);
  }

  onFailed(error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#isSettled) return;
    this.#settle();
    const { response } = this.#exchange;
    const canAnswer = !this.#isSpoilt && !response.headersSent && !isGone(response);
    if (!canAnswer) cutOff(response);
    this.#listener.onFailed(error, canAnswer);
  }

  /** Ends it before its time: with an answer, where none has begun. */
  abort(error: Error): void {
    if (this.#isSettled) return;
    if (this.#connection === undefined) this.#fail(error);
    else this.#connection.abort(this, error);
  }

  /** Heard at the end of every answer, so that an error is made only where there is one. */
  readonly #onClientGone = (): void => {
    if (!this.#isSettled) this.abort(clientGone());
  };

  #settle(): void {
    this.#isSettled = true;
    clearTimeout(this.#deadline);
    if (this.#unread !== undefined) this.#slowClients.taken(this.#unread);
  }
}

function expired(): GatewayError {
  return new GatewayError('UPSTREAM_TIMEOUT', 'the answer did not end in time');
}

function clientGone(): Error {
  return new Error('the client went away');
}

/** Hot path: `bench/proxy.ts`. The answer's fields without hop-by-hop ones, order and duplicates kept. */
function answerHeaders(fields: readonly string[], status: number, expectation: AnswerExpectation): string[] {
  const headers: string[] = [];
  let listed: readonly string[] | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const lower = name.toLowerCase();
    if (hopByHop.has(lower)) {
      if (lower === 'connection') listed = listedBy(value, listed);
      continue;
    }
    if (
      lower === 'set-cookie' &&
      expectation.protectedCookies.some((cookie) => value.trimStart().startsWith(`${cookie}=`))
    )
      continue;
    // RFC 9110 section 8.6: no length where there is no body; it would desynchronise the connection.
    if (lower === 'content-length' && status === 204) continue;
    headers.push(name, value);
  }
  const own = listed === undefined ? headers : withoutListed(headers, listed);
  return expectation.answerHeaders.length === 0 ? own : withOwn(own, status, expectation.answerHeaders);
}

/** RFC 9110 section 7.6.1: what an upstream names in Connection was meant for us alone. */
function listedBy(connection: string, before: readonly string[] | undefined): readonly string[] | undefined {
  if (connection === 'keep-alive' || connection === 'close') return before;
  // Framing is ours to know, whatever the upstream lists.
  return [
    ...(before ?? []),
    ...connectionOptions(connection).filter((option) => option !== 'content-length'),
  ];
}

function withoutListed(headers: readonly string[], listed: readonly string[]): string[] {
  const isKept = (_: string, i: number): boolean =>
    !listed.includes((headers[i - (i % 2)] as string).toLowerCase());
  return headers.filter(isKept);
}

/** What is added is for one person: no cache may hand it to another, whatever the upstream allows. */
function withOwn(headers: readonly string[], status: number, own: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (/^(cache-control|expires|pragma)$/i.test(headers[i] as string)) continue;
    kept.push(headers[i] as string, headers[i + 1] as string);
  }
  for (let i = 0; i < own.length; i += 2) {
    // Beside a challenge of the upstream it would be read as another one.
    if (status === 401 && /^www-authenticate$/i.test(own[i] as string)) continue;
    kept.push(own[i] as string, own[i + 1] as string);
  }
  return [...kept, 'Cache-Control', 'no-store'];
}

/** Node sends a string in one piece with the head, and a buffer as a second one: for a small rest that costs more. */
const smallBytes = 8_192;

function endWith({ response }: Exchange, last: Buffer | undefined): void {
  if (last === undefined) response.end();
  else if (last.length <= smallBytes) response.end(last.toString('latin1'), 'latin1');
  else response.end(Buffer.from(last));
}

/** One connection to a server: one request at a time, and its answer as it comes. Knows no other connection. */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { GatewayError } from '../../errors.ts';
import { type AnswerHead, parseAnswerHead } from './answer-head.ts';
import { ChunkedBody } from './chunked-body.ts';
import { HeadBytes } from './head-bytes.ts';
import { RequestBody } from './request-body.ts';
import { type RequestHead, requestHead } from './request-head.ts';

export interface ServerRequest extends RequestHead {
  /** Nobody has read from it. `null`: there is none. */
  readonly body: Readable | null;
}

/** Who waits for an answer. Told in this order; `onFailed` may come at any time, and then nothing follows. */
export interface Asker {
  /** Bytes of the request leave now, and none did before. `false`: it is not wanted any more. */
  onSending(connection: Connection): boolean;
  /** The final head: 200 and above. */
  onHead(head: AnswerHead): void;
  /** `content` is valid during the call only. */
  onData(content: Buffer): void;
  /** The answer is whole. `last`: content that was not handed out yet, valid during the call only. */
  onEnd(last: Buffer | undefined): void;
  /** Instead of `onHead`: the server speaks another protocol from now on. `socket` is paused. Only where asked for. */
  onUpgraded(head: AnswerHead, socket: Socket): void;
  onFailed(error: Error): void;
}

export interface ConnectionOwner {
  /** It takes the next request. */
  onFree(connection: Connection): void;
  /** It is closed, or not ours any more. */
  onGone(connection: Connection): void;
}

export interface ConnectionTimeouts {
  /** Milliseconds from the whole request to the head of the answer. */
  readonly head: number;
  /** Longest silence within an answer. */
  readonly idle: number;
  /** Of a connection without a request. */
  readonly kept: number;
}

const maxInterimAnswers = 32;

export class Connection {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #asker: Asker | undefined;
  #request: ServerRequest | undefined;
  /** `undefined`: it has left whole. */
  #upload: RequestBody | undefined;
  #head: AnswerHead | undefined;
  readonly #headBytes = new HeadBytes();
  #interimAnswers = 0;
  /** Bytes of a body of known length that are still to come. */
  #left = 0;
  #chunks: ChunkedBody | undefined;
  #isPaused = false;
  #isGone = false;
  /** What the server promised of an idle connection. */
  #keptMs = Number.POSITIVE_INFINITY;
  /** Looks at it since something happened. */
  #looks = 0;

  /** What comes on `socket` is handed to `read`, by whoever opened it. */
  constructor(socket: Socket, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** To be called when it is free. Throws what is wrong with the request, and is free still. */
  send(request: ServerRequest, asker: Asker): void {
    const head = requestHead(request);
    // It broke while the request waited: nobody has heard of that yet.
    if (request.body?.destroyed === true) throw request.body.errored ?? new Error('the request was cut off');
    if (!asker.onSending(this)) {
      this.#owner.onFree(this);
      return;
    }
    this.#asker = asker;
    this.#request = request;
    this.#looks = 0;
    this.#socket.write(head, 'latin1');
    if (request.body !== null) this.#sendBody(request.body, request.bodyLength);
  }

  /** The asker takes no more for now. What arrived before still reaches it. */
  pause(asker: Asker): void {
    if (this.#asker !== asker) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(asker: Asker): void {
    if (this.#asker !== asker || !this.#isPaused) return;
    this.#resume();
  }

  /** Ends the request of this asker, and with it the connection: nobody knows what still comes. */
  abort(asker: Asker, error: Error): void {
    // A late word about an earlier request must not end somebody else's.
    if (this.#asker === asker) this.#fail(error);
  }

  destroy(error: Error): void {
    this.#fail(error);
  }

  /** To be called every `periodMs`; ends what has been silent for too long. */
  look(periodMs: number, { head, idle, kept }: ConnectionTimeouts): void {
    if (this.#asker === undefined) {
      // The look that finds it old comes up to a period later.
      const limitMs = Math.min(kept, this.#keptMs - periodMs);
      if (this.#isSilentFor(limitMs, periodMs)) this.#fail(silent('between requests'));
    } else if (this.#head === undefined) {
      // A client that sends slowly is no fault of the server.
      if (this.#upload !== undefined && !this.#socket.writableNeedDrain) this.#looks = 0;
      else if (this.#isSilentFor(head, periodMs)) this.#fail(silent('before the head of its answer'));
    } else if (this.#isPaused) {
      this.#looks = 0;
    } else if (this.#isSilentFor(idle, periodMs)) {
      this.#fail(silent('within its answer'));
    }
  }

  #isSilentFor(limitMs: number, periodMs: number): boolean {
    // The first look came soon after it fell silent.
    return this.#looks++ * periodMs >= limitMs;
  }

  #sendBody(body: Readable, length: number | 'chunked'): void {
    this.#upload = new RequestBody(body, this.#socket, length, {
      onProgress: () => {
        this.#looks = 0;
      },
      onSent: () => {
        this.#upload = undefined;
        this.#looks = 0;
      },
      onFailed: (error) => this.#fail(error),
    });
  }

  /** Bytes of the server as they come; valid during the call only. */
  readonly read = (bytes: Buffer): void => {
    const asker = this.#asker;
    if (asker === undefined) {
      // An answer to nobody would be taken for that to the next request.
      this.#fail(new GatewayError('UPSTREAM_PROTOCOL', 'the upstream spoke without being asked'));
      return;
    }
    // The time for a head is that for all of it: a part does not prolong it.
    if (this.#head !== undefined) this.#looks = 0;
    try {
      this.#read(bytes, asker);
    } catch (error) {
      this.#fail(error as Error);
    }
  };

  /** Hot path: `bench/proxy.ts`. */
  #read(bytes: Buffer, asker: Asker): void {
    let rest = bytes;
    if (this.#head === undefined) {
      const afterHead = this.#readHead(bytes, asker);
      if (afterHead === undefined || this.#asker !== asker) return;
      rest = afterHead;
    }
    if (this.#chunks !== undefined) this.#readChunks(rest, asker, this.#chunks);
    else if (this.#head?.body !== 'until-close') this.#readLength(rest, asker);
    else if (rest.length > 0) asker.onData(rest);
  }

  /** What follows the head; `undefined`: nothing does that would be read here. */
  #readHead(bytes: Buffer, asker: Asker): Buffer | undefined {
    let rest = bytes;
    for (;;) {
      const taken = this.#headBytes.take(rest);
      if (taken === undefined) return undefined;
      rest = taken.rest;
      const head = parseAnswerHead(taken.text, this.#request?.method as string);
      if (head.status === 101) {
        this.#upgrade(head, rest, asker);
        return undefined;
      }
      if (head.status >= 200) {
        this.#begin(head, asker);
        return rest;
      }
      // Interim answers (RFC 9110 section 15.2) end here; the final one follows.
      if (++this.#interimAnswers > maxInterimAnswers)
        throw new GatewayError('UPSTREAM_PROTOCOL', 'interim answers without end');
    }
  }

  #begin(head: AnswerHead, asker: Asker): void {
    this.#head = head;
    this.#looks = 0;
    if (head.body === 'chunked') this.#chunks = new ChunkedBody();
    else if (head.body !== 'until-close') this.#left = head.body;
    asker.onHead(head);
  }

  #readLength(bytes: Buffer, asker: Asker): void {
    const left = this.#left;
    if (bytes.length < left) {
      this.#left -= bytes.length;
      if (bytes.length > 0) asker.onData(bytes);
      return;
    }
    const last = bytes.length === left ? bytes : bytes.subarray(0, left);
    this.#finish(asker, left === 0 ? undefined : last, bytes.length === left);
  }

  #readChunks(bytes: Buffer, asker: Asker, chunks: ChunkedBody): void {
    // Each piece is held back until it is known whether another one follows: the last one goes out with the end.
    let last: Buffer | undefined;
    const end = chunks.read(bytes, 0, (content) => {
      if (last !== undefined && this.#asker === asker) asker.onData(last);
      last = content;
    });
    // The asker may have given up in the middle of what was read.
    if (this.#asker !== asker) return;
    if (chunks.isEnded) this.#finish(asker, last, end === bytes.length);
    else if (last !== undefined) asker.onData(last);
  }

  /** `isAll`: nothing came behind the answer. */
  #finish(asker: Asker, last: Buffer | undefined, isAll: boolean): void {
    const head = this.#head as AnswerHead;
    const isSent = this.#upload === undefined;
    this.#forget();
    if (head.isKept && isSent && isAll && !this.#isGone) {
      if (head.keptMs !== undefined) this.#keptMs = head.keptMs - keptMarginMs;
      if (this.#isPaused) this.#resume();
      this.#owner.onFree(this);
    } else {
      this.#leave();
      this.#socket.destroy();
    }
    try {
      asker.onEnd(last);
    } catch (error) {
      this.#broke(asker, error as Error);
    }
  }

  #upgrade(head: AnswerHead, rest: Buffer, asker: Asker): void {
    if (this.#request?.isUpgrade !== true)
      throw new GatewayError('UPSTREAM_PROTOCOL', 'the upstream changed the protocol without being asked');
    // RFC 9110 section 7.8: what still came of the request would be read as the other protocol.
    if (this.#upload !== undefined)
      throw new GatewayError('UPSTREAM_PROTOCOL', 'the upstream changed the protocol within the request');
    const socket = this.#socket;
    socket.off('data', this.read);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    socket.pause();
    if (rest.length > 0) socket.unshift(rest);
    this.#forget();
    this.#leave();
    try {
      asker.onUpgraded(head, socket);
    } catch (error) {
      this.#broke(asker, error as Error);
    }
  }

  #resume(): void {
    this.#isPaused = false;
    this.#looks = 0;
    this.#socket.resume();
  }

  readonly #onEnd = (): void => {
    if (this.#asker !== undefined && this.#head?.body === 'until-close') {
      this.#finish(this.#asker, undefined, false);
    } else {
      this.#fail(lost());
    }
  };

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(lost());

  #fail(error: Error): void {
    const asker = this.#asker;
    this.#forget();
    this.#leave();
    this.#socket.destroy();
    asker?.onFailed(error);
  }

  /** The asker did not get through with the end of its answer; nothing else would tell it. */
  #broke(asker: Asker, error: Error): void {
    this.#fail(error);
    asker.onFailed(error);
  }

  #forget(): void {
    this.#asker = undefined;
    this.#request = undefined;
    this.#head = undefined;
    this.#chunks = undefined;
    this.#interimAnswers = 0;
    this.#looks = 0;
    this.#upload?.stop();
    this.#upload = undefined;
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#owner.onGone(this);
  }
}

/** A connection is not used in the moment the server is about to close it. */
const keptMarginMs = 1_000;

function lost(): GatewayError {
  return new GatewayError('UPSTREAM_RESET', 'the upstream closed the connection');
}

function silent(when: string): GatewayError {
  return new GatewayError('UPSTREAM_TIMEOUT', `the upstream was silent for too long ${when}`);
}

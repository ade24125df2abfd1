/**
 * A gRPC server for one unary method: HTTP/2 in clear text with prior knowledge, limits, deadlines, and connections
 * that end in good order. It knows frames and statuses; what a message means is the handler's concern.
 */

import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { Server as NetServer } from 'node:net';
import { bind } from '../http/bind.ts';
import type { Listener } from '../http/listener.ts';
import type { ListenAddress } from '../http/options.ts';
import { plainAddress } from '../lib/address-set.ts';
import { type GrpcRefusal, type GrpcStatus, grpcStatus } from './status.ts';

/** The message of the answer, or why there is none. */
export type UnaryAnswer = Buffer | GrpcRefusal;

export interface UnaryListenerOptions {
  readonly address: ListenAddress;
  /** `/package.Service/Method`; every other path is UNIMPLEMENTED. */
  readonly method: string;
  /** Whether a peer may call at all. Asked before anything of its message is read. */
  readonly admits: (peer: string) => boolean;
  readonly answer: (message: Buffer, peer: string) => UnaryAnswer | Promise<UnaryAnswer>;
  /** Told of every call that ended without a message. */
  readonly onRefused: (status: GrpcRefusal, peer: string) => void;
  /** Told what `answer` threw; the caller is told INTERNAL. */
  readonly onDefect: (error: unknown) => void;
  /**
   * A connection stays on the worker that accepted it. After this many calls or this long, whichever comes first, it
   * is ended in good order, so that the next one may go to another worker. Defaults: 10,000 calls, 5 minutes.
   */
  readonly maxCallsPerConnection?: number;
  readonly maxConnectionAgeMs?: number;
  /** How long a call may take, the sending of its message included. Default: 10 seconds. */
  readonly maxCallMs?: number;
}

/** Room for the head of a request with a Kerberos token of 90,000 characters. */
export const maxMessageBytes = 131_072;

const maxConcurrentCalls = 1_024;
/** How long a caller may take to stop opening calls on a connection that ends. */
const goodbyeMs = 1_000;
const prefixBytes = 5;
/** The largest stream identifier: "I take no new streams soon, none so far is refused" (RFC 9113 section 6.8). */
const maxStreamId = 0x7fff_ffff;

/** Peers of a unix socket have no address: whoever may open the file is on this machine. */
const localPeer = '127.0.0.1';

/** Draining takes no new call, and cuts those that are not answered in time. */
export async function listenUnary(options: UnaryListenerOptions): Promise<Listener> {
  const { maxCallsPerConnection = 10_000, maxConnectionAgeMs = 300_000 } = options;
  const connections = new Map<ServerHttp2Session, Connection>();
  const server = createServer({
    settings: {
      maxConcurrentStreams: maxConcurrentCalls,
      initialWindowSize: maxMessageBytes + prefixBytes,
      maxHeaderListSize: 16_384,
      enablePush: false,
    },
    // A front proxy resets every call that outlives its own deadline: many at once while a store is away.
    streamResetBurst: 10_000,
    streamResetRate: 10_000,
  });
  server.on('session', (session) => {
    const connection = new Connection(session, options, maxCallsPerConnection, maxConnectionAgeMs);
    connections.set(session, connection);
    session.once('close', () => {
      connections.delete(session);
      connection[Symbol.dispose]();
    });
  });
  const address = await bind(server, options.address);
  return {
    address,
    drain: async (timeoutMs) => {
      // Http2Server.close() would also say goodbye to every session, at once and without a warning.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
      for (const connection of connections.values()) connection.end();
      const cut = setTimeout(() => {
        for (const session of connections.keys()) session.destroy();
      }, timeoutMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

class Connection implements Disposable {
  readonly #session: ServerHttp2Session;
  readonly #options: UnaryListenerOptions;
  readonly #peer: string;
  readonly #maxCalls: number;
  readonly #oldAge: NodeJS.Timeout;
  #goodbye: NodeJS.Timeout | undefined;
  #calls = 0;
  #isEnding = false;

  constructor(
    session: ServerHttp2Session,
    options: UnaryListenerOptions,
    maxCalls: number,
    maxAgeMs: number,
  ) {
    this.#session = session;
    this.#options = options;
    this.#maxCalls = maxCalls;
    this.#peer = plainAddress(session.socket.remoteAddress ?? localPeer);
    // Up to a tenth less, so that connections opened together do not end together.
    this.#oldAge = setTimeout(() => this.end(), maxAgeMs * (1 - Math.random() / 10)).unref();
    // The default of 64 KiB for all calls together would stop them at the first large message.
    session.setLocalWindowSize(8 * maxMessageBytes);
    session.on('stream', (stream, headers) => this.#open(stream, headers));
  }

  /** Calls under way are answered; new ones belong on another connection. */
  end(): void {
    if (this.#isEnding || this.#session.destroyed) return;
    this.#isEnding = true;
    this.#session.goaway(0, maxStreamId);
    // Closed at once, calls that the peer opened before it read the notice would be lost.
    const close = (): void => {
      clearTimeout(this.#goodbye);
      if (!this.#session.destroyed) this.#session.close();
    };
    this.#goodbye = setTimeout(close, goodbyeMs);
    this.#session.ping(close);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#oldAge);
    clearTimeout(this.#goodbye);
  }

  /** Hot path: `bench/grpc.ts`. */
  #open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    if (++this.#calls >= this.#maxCalls) this.end();
    const { method, admits, onRefused, maxCallMs = 10_000 } = this.#options;
    const call = new UnaryCall(stream, (status) => onRefused(status, this.#peer), maxCallMs);
    if (!admits(this.#peer)) call.refuse('PERMISSION_DENIED');
    else if (headers[':path'] !== method || headers[':method'] !== 'POST' || !isGrpc(headers))
      call.refuse('UNIMPLEMENTED');
    else this.#receive(stream, call);
  }

  /** The message is whole when the caller has said everything: five bytes of prefix and exactly what they announce. */
  #receive(stream: ServerHttp2Stream, call: UnaryCall): void {
    let received: Buffer | undefined;
    stream.on('data', (chunk: Buffer) => {
      if (call.isAnswered) return;
      received = received === undefined ? chunk : Buffer.concat([received, chunk]);
      if (received.length > maxMessageBytes + prefixBytes) call.refuse('RESOURCE_EXHAUSTED');
    });
    stream.on('end', () => {
      if (call.isAnswered) return;
      const message = received === undefined ? 'INVALID_ARGUMENT' : unframe(received);
      if (typeof message === 'string') call.refuse(message);
      else this.#answer(message, call);
    });
  }

  #answer(message: Buffer, call: UnaryCall): void {
    const fail = (error: unknown): void => {
      this.#options.onDefect(error);
      call.refuse('INTERNAL');
    };
    try {
      const answer = this.#options.answer(message, this.#peer);
      if (answer instanceof Promise) answer.then((settled) => call.answer(settled), fail);
      else call.answer(answer);
    } catch (error) {
      fail(error);
    }
  }
}

/** One call: ends exactly once, with a message and the status OK, or with another status alone. */
class UnaryCall {
  readonly #stream: ServerHttp2Stream;
  readonly #onRefused: (status: GrpcRefusal) => void;
  readonly #deadline: NodeJS.Timeout;
  isAnswered = false;

  constructor(stream: ServerHttp2Stream, onRefused: (status: GrpcRefusal) => void, maxCallMs: number) {
    this.#stream = stream;
    this.#onRefused = onRefused;
    this.#deadline = setTimeout(() => this.#expire(), maxCallMs);
    stream.once('close', () => clearTimeout(this.#deadline));
    // A caller that resets the stream or goes away has ended the call; nobody is left to be told.
    stream.on('error', () => (this.isAnswered = true));
  }

  answer(answer: UnaryAnswer): void {
    if (typeof answer === 'string') {
      this.refuse(answer);
      return;
    }
    const stream = this.#stream;
    if (this.isAnswered || stream.destroyed) return;
    this.isAnswered = true;
    stream.respond(answerHead, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers(okTrailers));
    stream.end(frame(answer));
  }

  refuse(status: GrpcRefusal): void {
    const stream = this.#stream;
    if (this.isAnswered || stream.destroyed) return;
    this.isAnswered = true;
    this.#onRefused(status);
    // Trailers-Only: the status stands in the only header block.
    stream.respond({ ...answerHead, ...trailers(status) }, { endStream: true });
    // What is still on its way is read and thrown away, until the deadline cuts it off.
    stream.resume();
    this.#deadline.refresh();
  }

  #expire(): void {
    if (this.isAnswered) this.#stream.close(constants.NGHTTP2_CANCEL);
    else this.refuse('DEADLINE_EXCEEDED');
  }
}

const answerHead = { ':status': 200, 'content-type': 'application/grpc' };
const okTrailers = trailers('OK');

function trailers(status: GrpcStatus): Record<string, string> {
  return { 'grpc-status': String(grpcStatus[status]) };
}

function isGrpc(headers: IncomingHttpHeaders): boolean {
  return /^application\/grpc(\+proto)?($|;)/.test(headers['content-type'] ?? '');
}

/** Length-Prefixed-Message: one byte that says whether it is compressed, the length in four, the message. */
function unframe(received: Buffer): Buffer | GrpcRefusal {
  if (received.length < prefixBytes || received.readUInt32BE(1) !== received.length - prefixBytes)
    return 'INVALID_ARGUMENT';
  // Compressed, though we never said that we could read it.
  if (received[0] !== 0) return received[0] === 1 ? 'UNIMPLEMENTED' : 'INVALID_ARGUMENT';
  return received.subarray(prefixBytes);
}

function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, prefixBytes);
  return framed;
}

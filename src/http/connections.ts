/**
 * Requests of one connection, one at a time: a client that sends thousands without waiting for answers (RFC 9112
 * section 9.3.2) gets no more of the gateway and its upstreams than one that waits.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHandler } from './listener.ts';

/** Requests that wait on one connection; the last of them is answered with `Connection: close`, what follows is not read. */
const maxWaiting = 64;

type Waiting = readonly [request: IncomingMessage, response: ServerResponse];

interface Line {
  readonly waiting: Waiting[];
  isFull: boolean;
}

interface Connection {
  /** The answer begun last. */
  latest: ServerResponse | undefined;
  line: Line | undefined;
}

/** The open connections of a listener. One look-up per request finds everything that is known of its connection. */
export class Connections {
  readonly #handler: RequestHandler;
  readonly #open = new Map<Socket, Connection>();

  constructor(handler: RequestHandler) {
    this.#handler = handler;
  }

  /** Keeps the connection until it closes. */
  add(socket: Socket): void {
    this.#open.set(socket, { latest: undefined, line: undefined });
    socket.once('close', () => this.#open.delete(socket));
  }

  has(socket: Socket): boolean {
    return this.#open.has(socket);
  }

  sockets(): Iterable<Socket> {
    return this.#open.keys();
  }

  /** The answer that was begun last on this connection. */
  latestAnswer(socket: Socket): ServerResponse | undefined {
    return this.#open.get(socket)?.latest;
  }

  /** Whether a request has come whole, and its answer has not been given yet. */
  isAnswerDue(socket: Socket): boolean {
    const latest = this.#open.get(socket)?.latest;
    return latest !== undefined && !latest.writableEnded && latest.req.complete;
  }

  /** Hot path: `bench/forward-auth.ts`. Begins the request, or lets it wait for those before it. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const connection = this.#open.get(socket);
    // Closed meanwhile: nobody waits for an answer.
    if (connection === undefined) return;
    const { line, latest } = connection;
    if (line !== undefined) {
      line.isFull ||= line.waiting.length >= maxWaiting;
      if (!line.isFull) line.waiting.push([request, response]);
      socket.pause();
    } else if (latest === undefined || latest.writableEnded || latest.destroyed) {
      connection.latest = response;
      this.#handler(request, response);
    } else {
      connection.line = { waiting: [[request, response]], isFull: false };
      latest.once('close', () => this.#advance(socket, connection));
    }
  }

  #advance(socket: Socket, connection: Connection): void {
    for (;;) {
      const line = connection.line as Line;
      const next = line.waiting.shift();
      if (next === undefined || socket.destroyed) {
        connection.line = undefined;
        return;
      }
      const [request, response] = next;
      if (line.waiting.length === 0) {
        if (line.isFull) response.shouldKeepAlive = false;
        // The body of the last request is still to be read.
        else socket.resume();
      }
      connection.latest = response;
      this.#handler(request, response);
      if (!response.writableEnded) {
        response.once('close', () => this.#advance(socket, connection));
        return;
      }
    }
  }
}

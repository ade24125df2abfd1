/** The connections to one server: kept between requests, at most so many, and who waits for one. */
import type { Socket } from 'node:net';
import { GatewayError } from '../../errors.ts';
import type { Connector } from './connect.ts';
import { type Asker, Connection, type ConnectionTimeouts, type ServerRequest } from './connection.ts';

export interface ConnectionPoolOptions {
  readonly connector: Connector;
  readonly connections: number;
  readonly timeouts: ConnectionTimeouts;
}

interface Waiting {
  readonly request: ServerRequest;
  readonly asker: Asker;
}

const looksPerTimeout = 8;

export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #connections = new Set<Connection>();
  /** The one used last is used next, so that those too many become old. */
  readonly #free: Connection[] = [];
  /**
   * In the order they came. An array: a Map that fills and empties all the time leaves a chain of old tables behind,
   * each of which keeps the next one alive, and with it every request it held.
   */
  readonly #waiting: Waiting[] = [];
  readonly #periodMs: number;
  #opening = 0;
  #isAssigning = false;
  #timer: NodeJS.Timeout | undefined;
  #closedBy: GatewayError | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    const { head, idle, kept } = options.timeouts;
    this.#periodMs = Math.min(1_000, Math.max(20, Math.min(head, idle, kept) / looksPerTimeout));
  }

  /** Hot path: `bench/proxy.ts`. Sends the request as soon as a connection is free for it. */
  ask(request: ServerRequest, asker: Asker): void {
    this.#waiting.push({ request, asker });
    this.#assignSoon();
  }

  /** It waits no longer; nothing is told. */
  withdraw(asker: Asker): void {
    const place = this.#waiting.findIndex((waiting) => waiting.asker === asker);
    if (place >= 0) this.#waiting.splice(place, 1);
  }

  /** Ends all connections, and with `error` whatever waits for an answer. */
  close(error: GatewayError): void {
    this.#closedBy = error;
    clearInterval(this.#timer);
    for (const connection of this.#connections) connection.destroy(error);
    this.#refuse(error);
  }

  #refuse(error: GatewayError): void {
    // Who is refused may ask again: that is answered in the next turn.
    for (const { asker } of this.#waiting.splice(0)) asker.onFailed(error);
  }

  /**
   * Requests wait for the end of this turn of the event loop: until then a kept connection may turn out to be closed,
   * or to hold bytes that nobody asked for and that would be taken for the answer to this request.
   */
  #assignSoon(): void {
    if (this.#isAssigning) return;
    this.#isAssigning = true;
    setImmediate(this.#assign);
  }

  readonly #assign = (): void => {
    this.#isAssigning = false;
    if (this.#closedBy !== undefined) {
      this.#refuse(this.#closedBy);
      return;
    }
    while (this.#waiting.length > 0) {
      const isFull = this.#connections.size + this.#opening >= this.#options.connections;
      if (isFull && this.#free.length === 0) return;
      const { request, asker } = this.#waiting.shift() as Waiting;
      // What becomes another protocol needs a connection that is read as a stream.
      const free = request.isUpgrade ? undefined : this.#free.pop();
      if (free !== undefined) {
        this.#send(free, request, asker);
      } else {
        // Only what becomes another protocol is here when all are open: the oldest kept one makes room for it.
        if (isFull) this.#free[0]?.destroy(ended());
        this.#open(request, asker);
      }
    }
  };

  #open(request: ServerRequest, asker: Asker): void {
    this.#opening++;
    let connection: Connection | undefined;
    const onBytes = request.isUpgrade ? undefined : (bytes: Buffer): void => connection?.read(bytes);
    this.#options.connector.connect(onBytes, (error, socket) => {
      this.#opening--;
      const failure = error ?? this.#closedBy;
      if (socket !== null && failure === undefined) {
        connection = this.#adopt(socket);
        if (onBytes === undefined) socket.on('data', connection.read);
        this.#send(connection, request, asker);
        return;
      }
      socket?.destroy();
      asker.onFailed(failure as Error);
      // Its place is free for those behind it.
      if (this.#waiting.length > 0) this.#assignSoon();
    });
  }

  #adopt(socket: Socket): Connection {
    const connection = new Connection(socket, this);
    this.#connections.add(connection);
    this.#timer ??= setInterval(this.#look, this.#periodMs).unref();
    return connection;
  }

  #send(connection: Connection, request: ServerRequest, asker: Asker): void {
    try {
      connection.send(request, asker);
    } catch (error) {
      this.onFree(connection);
      asker.onFailed(error as Error);
    }
  }

  onFree(connection: Connection): void {
    this.#free.push(connection);
    if (this.#waiting.length > 0) this.#assignSoon();
  }

  onGone(connection: Connection): void {
    this.#connections.delete(connection);
    const place = this.#free.indexOf(connection);
    if (place >= 0) this.#free.splice(place, 1);
    if (this.#waiting.length > 0) this.#assignSoon();
  }

  readonly #look = (): void => {
    for (const connection of this.#connections) connection.look(this.#periodMs, this.#options.timeouts);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  };
}

function ended(): GatewayError {
  return new GatewayError('UPSTREAM_RESET', 'a connection without a request was ended');
}

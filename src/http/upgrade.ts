/**
 * Requests that want to become a WebSocket (RFC 6455 section 4.1), as the listener hands them on: with an answer like
 * any other request has, and the bare connection for whoever opens it. What is refused goes on as HTTP.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connections } from './connections.ts';

/** A connection that is no HTTP any more. */
export interface Opened {
  /** The listener drains: it shall end soon, and is cut otherwise. */
  end(): void;
}

export interface Upgrade {
  readonly socket: Socket;
  /** What the client sent behind the head of its request. */
  readonly head: Buffer;
  /** Takes the connection over, before anything is written to it; the answer must not be used afterwards. */
  open(opened: Opened): void;
}

/** Everything else that names `Upgrade` is answered as if it did not. */
export function wantsWebSocket({ method, httpVersion, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  );
}

export class Upgrades {
  readonly #connections: Connections;
  readonly #goOn: (socket: Socket) => void;
  readonly #opened = new Map<Socket, Opened>();

  /** `goOn`: gives a connection whose upgrade was refused back to the server. */
  constructor(connections: Connections, goOn: (socket: Socket) => void) {
    this.#connections = connections;
    this.#goOn = goOn;
  }

  /** `undefined`: it came before the request ahead of it was answered, and is cut. */
  begin(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): { readonly response: ServerResponse; readonly upgrade: Upgrade } | undefined {
    // Without its parser nobody listens for errors any more.
    socket.on('error', () => socket.destroy());
    const latest = this.#connections.latestAnswer(socket);
    if (latest !== undefined && !latest.writableFinished && !latest.destroyed) {
      socket.destroy();
      return undefined;
    }
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    // The server would tell the answer that its client is gone; for this connection it does not any more.
    const onClose = (): void => {
      response.destroy();
      response.emit('close');
    };
    socket.once('close', onClose);
    response.once('finish', () => {
      response.detachSocket(socket);
      socket.off('close', onClose);
      // A client that did not wait for the answer meant what it sent for a WebSocket.
      if (response.shouldKeepAlive && head.length === 0) this.#goOn(socket);
      else socket.end();
    });
    return {
      response,
      upgrade: {
        socket,
        head,
        open: (opened) => {
          response.detachSocket(socket);
          socket.off('close', onClose);
          socket.setTimeout(0);
          this.#opened.set(socket, opened);
          socket.once('close', () => this.#opened.delete(socket));
        },
      },
    };
  }

  end(): void {
    for (const opened of this.#opened.values()) opened.end();
  }
}

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

/** Hot path: `bench/forward-auth.ts`. Wraps `handler`; a connection with one request at a time costs one look-up. */
export function inTurn(handler: RequestHandler): RequestHandler {
  const latest = new WeakMap<Socket, ServerResponse>();
  const lines = new WeakMap<Socket, Line>();

  function begin(request: IncomingMessage, response: ServerResponse): void {
    latest.set(request.socket, response);
    handler(request, response);
  }

  function advance(socket: Socket, line: Line): void {
    for (;;) {
      const next = line.waiting.shift();
      if (next === undefined || socket.destroyed) {
        lines.delete(socket);
        return;
      }
      const [request, response] = next;
      if (line.waiting.length === 0) {
        if (line.isFull) response.shouldKeepAlive = false;
        // The body of the last request is still to be read.
        else socket.resume();
      }
      begin(request, response);
      if (!response.writableEnded) {
        response.once('close', () => advance(socket, line));
        return;
      }
    }
  }

  return (request, response) => {
    const { socket } = request;
    const line = lines.get(socket);
    if (line !== undefined) {
      line.isFull ||= line.waiting.length >= maxWaiting;
      if (!line.isFull) line.waiting.push([request, response]);
      socket.pause();
      return;
    }
    const previous = latest.get(socket);
    if (previous === undefined || previous.writableEnded || previous.destroyed) {
      begin(request, response);
      return;
    }
    const opened: Line = { waiting: [[request, response]], isFull: false };
    lines.set(socket, opened);
    previous.once('close', () => advance(socket, opened));
  };
}

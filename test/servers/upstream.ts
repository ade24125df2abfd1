/** An application for tests: says what it received, or misbehaves as the test wants. */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly target: string;
  /** Flat list of names and values, in order. */
  readonly headers: readonly string[];
  readonly trailers: readonly string[];
  readonly bodyBytes: number;
  readonly bodySha256: string;
}

export interface TestUpstream extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Requests whose head arrived. */
  readonly started: number;
  /** Requests that arrived whole. */
  readonly received: readonly Received[];
  readonly openSockets: number;
}

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** `behaviour` replaces the echo. */
export async function startUpstream(behaviour?: Behaviour): Promise<TestUpstream> {
  const received: Received[] = [];
  let started = 0;
  let openSockets = 0;
  const server = createServer((request, response) => {
    started++;
    if (behaviour !== undefined) {
      behaviour(request, response);
      return;
    }
    receive(request, (entry) => {
      received.push(entry);
      const body = JSON.stringify(entry);
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
      });
      response.end(body);
    });
  });
  server.on('connection', (socket) => {
    openSockets++;
    socket.once('close', () => openSockets--);
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    get started() {
      return started;
    },
    received,
    get openSockets() {
      return openSockets;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Reads a request and says what it was when it has arrived whole; never, when it does not. */
export function receive(request: IncomingMessage, onWhole: (received: Received) => void): void {
  const hash = createHash('sha256');
  let bodyBytes = 0;
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    onWhole({
      method: request.method as string,
      target: request.url as string,
      headers: request.rawHeaders,
      trailers: request.rawTrailers,
      bodyBytes,
      bodySha256: hash.digest('hex'),
    });
  });
}

/** All values of a field in a flat list. */
export function valuesOf(headers: readonly string[], name: string): readonly string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name.toLowerCase());
}

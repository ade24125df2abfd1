/** The application behind the gateway: says what reached it, sets the cookie it is told, counts down to the byte. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Received, receive } from '#test/servers/upstream.ts';

export interface UpstreamRequest extends Received {
  readonly headBytes: number;
}

export interface EchoUpstream extends AsyncDisposable {
  readonly url: string;
  /** Requests whose head arrived, since `reset`. */
  readonly started: number;
  /** Requests that arrived whole, since `reset`. */
  readonly completed: readonly UpstreamRequest[];
  readonly openSockets: number;
  /** Connections whose request was cut off and that are still open. */
  readonly openAfterCut: number;
  reset(): void;
}

export async function startEchoUpstream(): Promise<EchoUpstream> {
  let started = 0;
  let completed: UpstreamRequest[] = [];
  const unfinished = new Set<Socket>();
  const server = createServer({ maxHeaderSize: 131_072 }, (request, response) => {
    started++;
    unfinished.add(request.socket);
    receive(request, (received) => {
      unfinished.delete(request.socket);
      const { method, target, headers } = received;
      const headBytes = headers.reduce(
        (sum, part) => sum + part.length + 2,
        method.length + target.length + 14,
      );
      const entry = { ...received, headBytes };
      completed.push(entry);
      const body = JSON.stringify(entry);
      const setCookie = new URL(target, 'http://upstream').searchParams.get('set-cookie');
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        ...(setCookie === null ? {} : { 'Set-Cookie': setCookie }),
      });
      response.end(body);
    });
  });
  server.keepAliveTimeout = 65_000;
  let openSockets = 0;
  server.on('connection', (socket) => {
    openSockets++;
    socket.once('close', () => {
      openSockets--;
      unfinished.delete(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get started() {
      return started;
    },
    get completed() {
      return completed;
    },
    get openSockets() {
      return openSockets;
    },
    get openAfterCut() {
      return unfinished.size;
    },
    reset() {
      started = 0;
      completed = [];
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

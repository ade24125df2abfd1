/** Plain HTTP on loopback for tests: servers that record what reaches them, and single requests with full control. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request as a server saw it. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  /** `1.1` */
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Names as they came, one per line of the head. */
  readonly names: readonly string[];
  readonly body: string;
  readonly connection: Socket;
}

/** An answer as the client saw it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** Listens on a free loopback port; keeps idle connections longer than a proxy in front does. */
export async function listen(
  answer: (incoming: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<Server> {
  const server = createServer({ maxHeaderSize: 131_072 }, (incoming, response) => {
    answer(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.keepAliveTimeout = 65_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export async function close(...servers: readonly Server[]): Promise<void> {
  for (const server of servers) {
    server.closeAllConnections();
    await once(server.close(), 'close');
  }
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

export async function record(incoming: IncomingMessage): Promise<Seen> {
  const body = await textOf(incoming);
  return {
    method: incoming.method ?? '',
    url: incoming.url ?? '',
    version: incoming.httpVersion,
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    ),
    names: incoming.rawHeaders.filter((_, at) => at % 2 === 0),
    body,
    connection: incoming.socket,
  };
}

/** One request on a connection of its own. A list as body is sent in chunks. */
export async function exchange(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | readonly string[] },
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  const outgoing = request({
    port,
    host: '127.0.0.1',
    path,
    method,
    headers,
    agent: false,
    maxHeaderSize: 131_072,
  });
  if (typeof body === 'string') outgoing.setHeader('Content-Length', Buffer.byteLength(body));
  for (const part of typeof body === 'string' ? [body] : (body ?? [])) outgoing.write(part);
  outgoing.end();
  const [response] = (await once(outgoing, 'response', {
    signal: AbortSignal.timeout(10_000),
  })) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await textOf(response) };
}

async function textOf(stream: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

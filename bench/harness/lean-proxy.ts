/**
 * The leanest reverse proxy of `node:http` and undici that is still correct, without any authentication: hop-by-hop
 * fields end here, the forwarded ones are set once, bodies stream with back-pressure, aborts pass both ways, and a
 * silent or failing origin is answered for. Argument: the origin's URL.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Dispatcher, Pool } from 'undici';
import { hopByHop } from '#src/proxy/hop-by-hop.ts';

const pool = new Pool(process.argv[2] as string, {
  connections: 256,
  pipelining: 1,
  headersTimeout: 60_000,
  bodyTimeout: 300_000,
  keepAliveTimeout: 30_000,
});

/** What only a proxy may say. `Expect` was answered already. */
const ours = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'expect']);

class Answer implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const response = this.#response;
    response.once('close', () => {
      if (!response.writableEnded) controller.abort(new Error('the client went away'));
    });
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    const raw = (controller.rawHeaders as readonly Buffer[]).map((value) => value.toString('latin1'));
    this.#response.writeHead(status, travelling(raw, noNames));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    const response = this.#response;
    if (response.headersSent) response.destroy();
    else response.writeHead(502, ['Content-Length', '0']).end();
  }
}

const noNames: ReadonlySet<string> = new Set();

/** The fields that travel on: neither hop-by-hop, nor listed by Connection, nor in `without`. */
function travelling(raw: readonly string[], without: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  let listed: readonly string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    const lower = name.toLowerCase();
    if (lower === 'connection' && value !== 'keep-alive' && value !== 'close') {
      listed = value.split(',').map((option) => option.trim().toLowerCase());
    }
    if (!hopByHop.has(lower) && !without.has(lower)) kept.push(name, value);
  }
  if (listed.length === 0) return kept;
  return kept.filter((_, i) => !listed.includes((kept[i - (i % 2)] as string).toLowerCase()));
}

function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length } = headers;
  return length === undefined ? headers['transfer-encoding'] !== undefined : length !== '0';
}

const server = createServer((request, response) => {
  const headers = travelling(request.rawHeaders, ours);
  const host = request.headers.host ?? '';
  headers.push('X-Forwarded-For', request.socket.remoteAddress ?? '');
  headers.push('X-Forwarded-Proto', 'http', 'X-Forwarded-Host', host);
  pool.dispatch(
    {
      method: request.method as string,
      path: request.url as string,
      headers,
      body: hasBody(request) ? request : null,
    },
    new Answer(response),
  );
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 1_024 }, () => {
  console.log((server.address() as AddressInfo).port);
});

/**
 * A listening HTTP server with the limits the gateway promises, and a drain that really ends: HTTP/1.1 in clear text,
 * HTTP/1.1 and HTTP/2 over TLS. It knows sockets and parser errors; what a request means is the handler's concern.
 */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Session } from 'node:http2';
import { Server as NetServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TlsIdentity } from '../lib/tls-identity.ts';
import { bind } from './bind.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import { Connections } from './connections.ts';
import { maxClientConnections } from './descriptors.ts';
import { isHttp2, translate } from './http2-request.ts';
import type { ListenAddress } from './options.ts';
import type { ParsedRequest } from './parsed-request.ts';
import { createHttpServer, Http2Sessions, isSecure, secured } from './server.ts';
import { maxTargetBytes } from './target.ts';
import { type Upgrade, Upgrades, wantsWebSocket } from './upgrade.ts';

/** Refused heads above this many bytes, with 431. */
export const maxHeadBytes = 16_384;
/** The same where tickets are taken: Windows makes tokens of up to 87,380 characters. */
export const maxTicketHeadBytes = 131_072;

/** `upgrade`: for a request that wants to become a WebSocket. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse, upgrade?: Upgrade) => void;

/**
 * Of silence between requests or within a body. Longer than nginx keeps idle connections (60 s), so that nginx closes
 * first and no request meets a closing socket.
 */
const defaultIdleMs = 75_000;

/** How long before the end of a drain WebSockets are told to end. */
const endingMs = 3_000;

export interface Listener {
  readonly address: ListenAddress;
  /**
   * Takes no new connection and says `Connection: close` on every answer. Silent connections are closed after `idleMs`
   * (default 0), the others when their requests end or after `timeoutMs`. Resolves when no socket is left.
   * A client that is just sending its next request when a silent connection closes gets no answer: `idleMs` is for
   * those, they are answered and told to open another connection.
   */
  drain(timeoutMs: number, idleMs?: number): Promise<void>;
}

export interface HttpListener extends Listener {
  /** New connections get this certificate, open ones go on with theirs. Only where the listener speaks TLS. */
  present(identity: TlsIdentity): void;
}

export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly handler: RequestHandler;
  /** Default `maxHeadBytes`. */
  readonly headBytes?: number | undefined;
  /** HTTP/2: requests under way on one connection; default 100. */
  readonly streams?: number | undefined;
  /** A connection that is silent for so long is closed, unless its request waits for the answer; default 75,000. */
  readonly idleMs?: number | undefined;
  /** Omitted: any client may hold as many connections as there is room for. */
  readonly quota?: ConnectionQuota | undefined;
  /** Omitted: clear text. */
  readonly tls?: TlsIdentity | undefined;
  /** Told of every request the parser refused, with the status it was answered with. */
  readonly onRefused?: ((status: number) => void) | undefined;
}

export async function listen(options: ListenerOptions): Promise<HttpListener> {
  let isDraining = false;
  const connections = new Connections((request, response) => {
    if (isDraining) response.shouldKeepAlive = false;
    options.handler(request, response);
  });
  const handle: RequestHandler = (request, response) => {
    if (!isHttp2(request)) {
      (request as ParsedRequest).handOver();
      connections.handle(request, response);
    } else if (translate(request as unknown as Http2ServerRequest)) options.handler(request, response);
    else {
      options.onRefused?.(400);
      response.writeHead(400, ['content-length', '0']);
      response.end();
    }
  };
  const server = createHttpServer({
    headBytes: options.headBytes ?? maxHeadBytes,
    streams: options.streams ?? 100,
    tls: options.tls,
  });
  const http2 = isSecure(server) ? new Http2Sessions(server) : undefined;
  server.on('request', handle);
  const connecting = isSecure(server) ? 'secureConnection' : 'connection';
  const upgrades = new Upgrades(connections, (socket) => server.emit(connecting, socket));
  Object.assign(server, { shouldUpgradeCallback: wantsWebSocket });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const begun = upgrades.begin(request, socket, head);
    if (begun === undefined) return;
    if (isDraining) begun.response.shouldKeepAlive = false;
    options.handler(request, begun.response, begun.upgrade);
  });
  const maxConnections = maxClientConnections();
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  server.on('drop', () => options.onRefused?.(503));
  /** Connections below TLS, also those whose handshake is not over. */
  const underlying = new Set<Socket>();
  if (isSecure(server)) {
    server.on('connection', (socket: Socket) => {
      underlying.add(socket);
      socket.once('close', () => underlying.delete(socket));
    });
  }
  const { quota } = options;
  if (quota !== undefined) {
    server.on('connection', (socket: Socket) => {
      if (quota.admit(socket)) return;
      // Not even an answer: over TLS it would cost more than the connection.
      socket.destroy();
      options.onRefused?.(503);
    });
  }
  server.setTimeout(options.idleMs ?? defaultIdleMs);
  server.on('timeout', (silent: Socket | ServerHttp2Session) => {
    // Requests under way are answered still.
    if ('goaway' in silent) silent.close();
    // How long an answer may take is for whoever gives it to say.
    else if (!connections.isAnswerDue(silent)) silent.destroy();
  });
  server.on(connecting, (socket: Socket) => connections.add(socket));
  server.on('clientError', (error: ParserError, socket: Duplex) => {
    // Its handshake failed or took too long: there is no way to answer on, and nothing that would end it.
    if (!connections.has(socket as Socket)) {
      socket.destroy();
      return;
    }
    const status = refuse(error, socket as Socket, connections.latestAnswer(socket as Socket));
    if (status !== undefined) options.onRefused?.(status);
  });
  // `Expect: 100-continue` is answered when somebody reads the body: a refused request is never asked to send it.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (isHttp2(request)) {
      request.once('resume', () => response.writeContinue());
      handle(request, response);
      return;
    }
    const { shouldKeepAlive } = response;
    // Without the body the next request could not be told from it (RFC 9110 section 10.1.1).
    response.shouldKeepAlive = false;
    request.once('resume', () => {
      if (response.headersSent) return;
      response.shouldKeepAlive = shouldKeepAlive && !isDraining;
      response.writeContinue();
    });
    handle(request, response);
  });
  // A tunnel would carry what nobody judged.
  server.on('connect', (_request: unknown, answer: Duplex | ServerResponse) => {
    options.onRefused?.(405);
    if (!(answer instanceof Duplex)) answer.writeHead(405).end();
    else answer.end(statusAlone(405));
  });
  // Nothing else can be expected of this server.
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(417, { Connection: 'close', 'Content-Length': '0' });
    response.end();
  });
  const address = await bind(server, options.address);
  return {
    address,
    drain: async (timeoutMs, idleMs = 0) => {
      isDraining = true;
      for (const socket of connections.sockets()) endAfterAnswer(socket, connections.latestAnswer(socket));
      // The server's own close() would end silent connections at once.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
      http2?.end();
      const sweep = setTimeout(() => server.closeIdleConnections(), Math.min(idleMs, timeoutMs));
      // Where silent connections stay, WebSockets do too, as long as they may: nothing that is on its way gets lost.
      const ending = setTimeout(() => upgrades.end(), idleMs === 0 ? 0 : Math.max(0, timeoutMs - endingMs));
      const cut = setTimeout(() => {
        http2?.cut();
        for (const socket of connections.sockets()) socket.destroy();
        for (const socket of underlying) socket.destroy();
      }, timeoutMs);
      await closed;
      for (const timer of [sweep, ending, cut]) clearTimeout(timer);
    },
    present: (identity) => {
      if (!isSecure(server)) throw new TypeError('this listener speaks no TLS');
      server.setSecureContext(secured(identity));
    },
  };
}

/** The answer under way says that the connection ends with it; where its head went out already, the end just comes. */
function endAfterAnswer(socket: Socket, answer: ServerResponse | undefined): void {
  if (answer === undefined || answer.writableFinished) return;
  answer.shouldKeepAlive = false;
  if (answer.headersSent) answer.once('finish', () => socket.end());
}

/** Answers what the parser refused, unless an answer is already on its way; then the connection just ends. */
function refuse(error: ParserError, socket: Socket, answer: ServerResponse | undefined): number | undefined {
  const isAnswering = answer !== undefined && answer.headersSent && !answer.writableFinished;
  if (!socket.writable || isAnswering || error.code === 'ECONNRESET') {
    socket.destroy();
    return undefined;
  }
  const status = statusOf(error, socket);
  socket.end(statusAlone(status));
  socket.destroySoon();
  return status;
}

function statusAlone(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}

/** Node's parser errors carry the bytes they were found in. */
interface ParserError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
}

function statusOf({ code, rawPacket }: ParserError, socket: Socket): number {
  const status = parserStatuses.get(code ?? '') ?? 400;
  if (status !== 431 || rawPacket?.length !== socket.bytesRead) return status;
  // All that came so far: a head too long because of its first line alone is about the target, not the fields.
  const lineEnd = rawPacket.indexOf('\r\n');
  return lineEnd < 0 || lineEnd > maxTargetBytes ? 414 : 431;
}

const parserStatuses: ReadonlyMap<string, number> = new Map([
  ['HPE_HEADER_OVERFLOW', 431],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
]);

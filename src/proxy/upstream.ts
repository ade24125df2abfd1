/**
 * The servers of one application: a decided request goes to the least busy one that works, and streams both ways.
 * It knows nothing of identity; headers and path come ready made.
 */
import type { Duplex, Readable } from 'node:stream';
import { type ErrorCode, GatewayError } from '../errors.ts';
import { type Exchange, type FlatHeaders, isGone } from '../http/exchange.ts';
import { meteredBody } from '../http/metered-body.ts';
import type { Logger } from '../observability/logger.ts';
import { AnswerStream } from './answer-stream.ts';
import { isConnectFailure, upstreamFailure } from './failures.ts';
import type { ProxyOptions } from './options.ts';
import type { SlowClients } from './slow-clients.ts';
import { UpstreamServer } from './upstream-server.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Origin-form target, byte for byte as judged. */
  readonly path: string;
  /** Flat list, complete: nothing is added but framing. */
  readonly headers: string[];
  readonly hasBody: boolean;
  /** Whether it wants to become a WebSocket. */
  readonly isUpgrade: boolean;
  /** Set-Cookie fields of these names are dropped: an application must not plant the gateway's cookies. */
  readonly protectedCookies: readonly string[];
  /** Fields of ours that go with the answer. */
  readonly answerHeaders: FlatHeaders;
}

export interface UpstreamListener {
  /** The answer went out whole. */
  onAnswered(status: number): void;
  /** The server agreed to speak WebSocket; `headers` go to the client with 101. */
  onUpgraded(headers: readonly string[], server: Duplex): void;
  /** No head was sent yet: the caller answers. Otherwise the connection to the client was cut already. */
  onFailed(error: GatewayError, canAnswer: boolean): void;
}

export interface UpstreamOptions {
  readonly application: string;
  /** `http(s)://host[:port]` or `unix:/path`. */
  readonly addresses: readonly string[];
  readonly proxy: ProxyOptions;
  readonly slowClients: SlowClients;
  readonly logger: Logger;
}

/** One request on its way, over all its attempts. */
interface Errand {
  readonly exchange: Exchange;
  readonly request: UpstreamRequest;
  readonly listener: UpstreamListener;
  /** Nobody has read from it before an attempt is started. */
  readonly body: Readable | null;
  /** Of the attempt under way. */
  stream: AnswerStream | undefined;
}

/** RFC 9110 section 9.2.2. */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class Upstream implements Disposable {
  readonly #servers: readonly UpstreamServer[];
  readonly #options: UpstreamOptions;
  /** Of equally busy servers the next one is taken. */
  #turn = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    const { application, proxy, logger } = options;
    this.#servers = options.addresses.map(
      (address) => new UpstreamServer({ application, address, proxy, logger }),
    );
  }

  /** Hot path: `bench/proxy.ts`. */
  forward(exchange: Exchange, request: UpstreamRequest, listener: UpstreamListener): void {
    const server = this.#choose(undefined);
    if (server === undefined) {
      this.#refuse(listener, 'UPSTREAM_UNREACHABLE', 'none of the servers works');
    } else if (server.waiting >= this.#options.proxy.queue && server.waiting > 0) {
      this.#refuse(listener, 'UPSTREAM_BUSY', 'too many requests wait for the upstream');
    } else if (!request.hasBody) {
      this.#send(server, { exchange, request, listener, body: null, stream: undefined }, true);
    } else {
      this.#sendWithBody(server, exchange, request, listener);
    }
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) server[Symbol.dispose]();
  }

  /** The least busy server that works, other than `failed`. */
  #choose(failed: UpstreamServer | undefined): UpstreamServer | undefined {
    const servers = this.#servers;
    if (servers.length === 1) {
      const only = servers[0] as UpstreamServer;
      return only.isAvailable ? only : undefined;
    }
    const first = this.#turn++ % servers.length;
    let least: UpstreamServer | undefined;
    for (let i = 0; i < servers.length; i++) {
      const server = servers[(first + i) % servers.length] as UpstreamServer;
      if (server === failed || !server.isAvailable) continue;
      if (least === undefined || server.inFlight < least.inFlight) least = server;
    }
    return least;
  }

  #sendWithBody(
    server: UpstreamServer,
    exchange: Exchange,
    request: UpstreamRequest,
    listener: UpstreamListener,
  ): void {
    const { slowClients, proxy } = this.#options;
    if (Number(exchange.head.contentLength ?? 0) > proxy.maxBodySize) {
      this.#refuse(listener, 'REQUEST_TOO_LARGE', 'the body is larger than the application takes');
      return;
    }
    const body = bodyOf(exchange, proxy.maxBodySize);
    const errand: Errand = { exchange, request, listener, body, stream: undefined };
    slowClients.watchBody(exchange.request, () =>
      errand.stream?.abort(new GatewayError('REQUEST_TIMEOUT', 'the body came too slowly')),
    );
    this.#send(server, errand, true);
  }

  #send(server: UpstreamServer, errand: Errand, mayRepeat: boolean): void {
    const { exchange, request, listener, body } = errand;
    const { proxy, application, slowClients } = this.#options;
    server.inFlight++;
    const stream = new AnswerStream(exchange, request, proxy.timeouts.total, slowClients, {
      onHead: () => server.succeeded(),
      onAnswered: (status) => {
        server.inFlight--;
        listener.onAnswered(status);
      },
      onUpgraded: (headers, socket) => {
        server.tunnels++;
        socket.once('close', () => {
          server.tunnels--;
          server.inFlight--;
        });
        listener.onUpgraded(headers, socket);
      },
      onFailed: (error, canAnswer) => {
        server.inFlight--;
        if (!stream.isStarted) server.withdraw(stream);
        if (isConnectFailure(error)) server.failed(error);
        const next =
          mayRepeat && canAnswer ? this.#next(server, request, error, stream.isStarted) : undefined;
        if (next === undefined || isGone(exchange.response)) {
          listener.onFailed(upstreamFailure(error, application), canAnswer);
        } else {
          this.#send(next, errand, false);
        }
      },
    });
    errand.stream = stream;
    server.ask(
      {
        method: request.method,
        path: request.path,
        headers: proxy.hostHeader === 'keep' ? request.headers : withHost(request.headers, server.authority),
        body,
        bodyLength: body === null ? 0 : lengthOf(exchange),
        isUpgrade: request.isUpgrade,
      },
      stream,
    );
  }

  /**
   * Where a request that failed without an answer is tried once more; `undefined`: nowhere. What never left may go
   * to another server whatever it is; what may have arrived only when it changes nothing to ask twice (RFC 9110
   * section 9.2.2), as when a server closed a kept connection in the moment it was used.
   */
  #next(
    server: UpstreamServer,
    { method, hasBody }: UpstreamRequest,
    error: unknown,
    isStarted: boolean,
  ): UpstreamServer | undefined {
    if (!isStarted) return isConnectFailure(error) ? this.#choose(server) : undefined;
    const isLost = upstreamFailure(error, this.#options.application).code === 'UPSTREAM_RESET';
    if (!isLost || hasBody || !idempotentMethods.has(method)) return undefined;
    return this.#choose(server) ?? (server.isAvailable ? server : undefined);
  }

  #refuse(listener: UpstreamListener, code: ErrorCode, message: string): void {
    const { application } = this.#options;
    listener.onFailed(new GatewayError(code, message, { fields: { application } }), true);
  }
}

function withHost(headers: readonly string[], authority: string): string[] {
  return headers.map((value, i) =>
    i % 2 === 1 && (headers[i - 1] as string).toLowerCase() === 'host' ? authority : value,
  );
}

function lengthOf({ head }: Exchange): number | 'chunked' {
  return head.contentLength === undefined ? 'chunked' : Number(head.contentLength);
}

/** A body of known length is bounded by it: the parser takes no byte more. */
function bodyOf({ request, head }: Exchange, maxBytes: number): Readable {
  return head.contentLength === undefined ? meteredBody(request, maxBytes) : request;
}

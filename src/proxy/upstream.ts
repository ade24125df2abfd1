/**
 * One origin server and its connections: sends a decided request there and streams both ways.
 * It knows nothing of identity; headers and path come ready made.
 */
import type { Readable } from 'node:stream';
import { Pool } from 'undici';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { meteredBody } from '../http/metered-body.ts';
import { AnswerStream } from './answer-stream.ts';
import { upstreamFailure } from './failures.ts';

/** Connections to one upstream, per worker. */
const maxConnections = 256;
/** Requests that wait for a connection; beyond it the answer is 503 at once. */
const maxQueued = 1_024;
const connectTimeoutMs = 5_000;
const headTimeoutMs = 60_000;
/** Longest silence within an answer's body. */
const bodyIdleTimeoutMs = 300_000;

export interface UpstreamRequest {
  readonly method: string;
  /** Origin-form target, byte for byte as judged. */
  readonly path: string;
  /** Flat list, complete: nothing is added but framing. */
  readonly headers: string[];
  readonly hasBody: boolean;
  /** Set-Cookie fields of these names are dropped: an application must not plant the gateway's cookies. */
  readonly protectedCookies: readonly string[];
  /** For the client, beside the upstream's own; an answer with any of them is not to be kept. */
  readonly answerHeaders: readonly string[];
}

export interface UpstreamListener {
  /** The answer went out whole. */
  onAnswered(status: number): void;
  /** No head was sent yet: the caller answers. Otherwise the connection to the client was cut already. */
  onFailed(error: GatewayError, canAnswer: boolean): void;
}

export class Upstream implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #application: string;

  constructor(application: string, origin: string) {
    this.#application = application;
    this.#pool = new Pool(origin, {
      connections: maxConnections,
      pipelining: 1,
      connect: { timeout: connectTimeoutMs },
      headersTimeout: headTimeoutMs,
      bodyTimeout: bodyIdleTimeoutMs,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 65_536,
      // A second answer on a kept connection must never reach another request.
      strictContentLength: true,
    });
  }

  /** Hot path: `bench/proxy.ts`. */
  forward(exchange: Exchange, request: UpstreamRequest, listener: UpstreamListener): void {
    if (this.#pool.stats.pending >= maxQueued) {
      listener.onFailed(
        new GatewayError('UPSTREAM_BUSY', 'too many requests wait for the upstream', {
          fields: { application: this.#application },
        }),
        true,
      );
      return;
    }
    const stream = new AnswerStream(exchange, request, {
      onAnswered: (status) => listener.onAnswered(status),
      onFailed: (error, canAnswer) => listener.onFailed(upstreamFailure(error, this.#application), canAnswer),
    });
    this.#pool.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.hasBody ? bodyOf(exchange) : null,
      },
      stream,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}

function bodyOf({ request, head }: Exchange): Readable {
  return head.transferEncoding === undefined ? request : meteredBody(request);
}

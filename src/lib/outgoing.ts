/**
 * Requests of the gateway itself to other servers: one deadline for all of it, a bound on what is read, no redirects,
 * no proxy from the environment, verification always on. Knows no protocol above HTTP.
 */
import { Agent, type Dispatcher, errors } from 'undici';
import { type ErrorCode, GatewayError } from '../errors.ts';
import { isTlsFailure } from './tls-failure.ts';

export interface OutgoingOptions {
  /** `scheme://host[:port]`. */
  readonly origin: string;
  /** PEM; omitted: the authorities that Node trusts. */
  readonly ca?: string | undefined;
  /** From the start of a request to the last byte of its answer. */
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  /** Connections at a time. Default 16. */
  readonly connections?: number;
}

export interface OutgoingRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Origin-form target, percent-encoded by the caller. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the request before its deadline. */
  readonly signal?: AbortSignal;
}

export interface OutgoingAnswer {
  readonly status: number;
  /** Lower-case names; a repeated field is a list. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

const maxHeaderBytes = 16_384;

/** One origin. Throws, by rejecting, GatewayError UPSTREAM_UNREACHABLE, _TIMEOUT, _RESET or _PROTOCOL. */
export class Outgoing implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #options: OutgoingOptions;

  constructor(options: OutgoingOptions) {
    const { ca, timeoutMs, connections = 16 } = options;
    this.#options = options;
    // An agent of our own: what the process or its environment sets up for others does not count here.
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) },
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: 10_000,
    });
  }

  async request(request: OutgoingRequest): Promise<OutgoingAnswer> {
    const { origin, timeoutMs } = this.#options;
    const { method, path, headers = {}, body, signal } = request;
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const answer = await this.#agent.request({
        origin,
        path,
        method,
        headers: { 'user-agent': 'vratar', ...headers },
        body: body ?? null,
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      return { status: answer.statusCode, headers: answer.headers, body: await this.#read(answer.body) };
    } catch (error) {
      throw outgoingFailure(error, origin, deadline.aborted);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #read(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
    const { maxResponseBytes, origin } = this.#options;
    const chunks: Buffer[] = [];
    let length = 0;
    // Leaving the loop destroys the connection: the rest of a bomb is never read.
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxResponseBytes) {
        throw new GatewayError('UPSTREAM_PROTOCOL', 'the answer is larger than expected', {
          fields: { origin, maxResponseBytes },
        });
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }
}

const codes: ReadonlyMap<string, ErrorCode> = new Map([
  ['ECONNREFUSED', 'UPSTREAM_UNREACHABLE'],
  ['EHOSTUNREACH', 'UPSTREAM_UNREACHABLE'],
  ['ENETUNREACH', 'UPSTREAM_UNREACHABLE'],
  ['ENOTFOUND', 'UPSTREAM_UNREACHABLE'],
  ['EAI_AGAIN', 'UPSTREAM_UNREACHABLE'],
  ['UND_ERR_CONNECT_TIMEOUT', 'UPSTREAM_TIMEOUT'],
  ['UND_ERR_HEADERS_TIMEOUT', 'UPSTREAM_TIMEOUT'],
  ['UND_ERR_BODY_TIMEOUT', 'UPSTREAM_TIMEOUT'],
  ['ETIMEDOUT', 'UPSTREAM_TIMEOUT'],
  ['UND_ERR_HEADERS_OVERFLOW', 'UPSTREAM_PROTOCOL'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UPSTREAM_PROTOCOL'],
]);

function outgoingFailure(error: unknown, origin: string, isLate: boolean): GatewayError {
  if (error instanceof GatewayError) return error;
  const outgoingCode = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new GatewayError(codeFor(error, outgoingCode, isLate), 'the request to another server failed', {
    cause: error,
    fields: { origin, outgoingCode },
  });
}

function codeFor(error: unknown, code: string, isLate: boolean): ErrorCode {
  if (isLate) return 'UPSTREAM_TIMEOUT';
  if (error instanceof errors.HTTPParserError) return 'UPSTREAM_PROTOCOL';
  if (isTlsFailure(code)) return 'UPSTREAM_UNREACHABLE';
  return codes.get(code) ?? 'UPSTREAM_RESET';
}

/** One request and its answer as the gateway handles them: read once at the edge, never parsed again further in. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { cutHttp2Answer, hasHttp2Body, isHttp2, isHttp2AnswerGone } from './http2-request.ts';
import type { RequestHead } from './request-head.ts';
import type { Upgrade } from './upgrade.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** For a request that wants to become a WebSocket. */
  readonly upgrade: Upgrade | undefined;
  readonly head: RequestHead;
  /** Address of the TCP peer, IPv4-mapped forms unfolded. */
  readonly peer: string;
  /** Whether `peer` is a trusted proxy, whose forwarded fields are believed. */
  readonly isPeerTrusted: boolean;
  /** Address of the client behind trusted proxies. */
  readonly clientAddress: string;
  /** Forwarded fields contradict each other about the client: nothing may be decided by its address. */
  readonly isWayDoubtful: boolean;
  /** Wall clock at arrival, milliseconds since the epoch. */
  readonly startedAtMs: number;
  /** Monotonic clock at arrival, milliseconds. */
  readonly startedAt: number;
}

/** Whether a body follows the head. In HTTP/2 a frame says so, no field has to. */
export function hasBody({ request, head }: Pick<Exchange, 'request' | 'head'>): boolean {
  if (isHttp2(request)) return hasHttp2Body(request);
  return (
    head.transferEncoding !== undefined || (head.contentLength !== undefined && head.contentLength !== '0')
  );
}

/** Whether nobody waits for the answer any more. */
export function isGone(response: ServerResponse): boolean {
  return response.destroyed || isHttp2AnswerGone(response);
}

/** Ends an answer that is not whole: a clean end would tell the client that it is. */
export function cutOff(response: ServerResponse): void {
  if (!cutHttp2Answer(response)) response.destroy();
}

/** Flat list of names and values, as `writeHead` takes it. */
export type FlatHeaders = readonly string[];

/** Of every JSON answer: what it is, that it is not to be kept, and that nobody may guess otherwise. */
export const jsonHeaders: FlatHeaders = [
  'Content-Type',
  'application/json; charset=utf-8',
  'Cache-Control',
  'no-store',
  'X-Content-Type-Options',
  'nosniff',
];

/** Answers with a complete body. HEAD gets the same head without the body (RFC 9110 section 9.3.2). */
export function reply(
  exchange: Exchange,
  status: number,
  headers: FlatHeaders,
  body: string | Buffer = '',
): void {
  const { request, response } = exchange;
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  response.writeHead(status, [...headers, 'Content-Length', String(length)]);
  response.end(request.method === 'HEAD' ? undefined : body);
}

export function replyJson(
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: FlatHeaders = [],
): void {
  reply(exchange, status, [...jsonHeaders, ...headers], `${JSON.stringify(value)}\n`);
}

export function redirect(
  exchange: Exchange,
  status: 302 | 303,
  location: string,
  headers: FlatHeaders = [],
): void {
  reply(exchange, status, ['Location', location, 'Cache-Control', 'no-store', ...headers]);
}

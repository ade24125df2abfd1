/**
 * Requests of HTTP/2 in the shape the gateway reads: a flat list of fields with Host and one Cookie, as HTTP/1.1 has
 * them. What two readers could take differently is refused here, the rest by the gate like any other request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2Stream } from 'node:http2';

/**
 * Replaces `rawHeaders` by the translated list. Answers `false` for a request whose pseudo fields contradict its
 * fields, or that has fields which belong to a connection of HTTP/1.1 (RFC 9113 sections 8.2.2 and 8.3.1).
 */
export function translate(request: Http2ServerRequest): boolean {
  const { rawHeaders } = request;
  const fields: string[] = [];
  let authority: string | undefined;
  let host: string | undefined;
  let cookie: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    if (name.startsWith(':')) {
      if (name === ':authority') authority = value;
    } else if (name === 'cookie') {
      // RFC 9113 section 8.2.3: compression splits it, everybody else wants it whole.
      cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    } else if (name === 'host') {
      if (host !== undefined) return false;
      host = value;
    } else if (connectionFields.has(name)) {
      return false;
    } else if (name !== 'te') {
      fields.push(name, value);
    }
  }
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return false;
  }
  const named = authority ?? host;
  if (named !== undefined) fields.push('host', named);
  if (cookie !== undefined) fields.push('cookie', cookie);
  Object.defineProperty(request, 'rawHeaders', { value: fields });
  return true;
}

const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** The version alone proves nothing: a request line of HTTP/1 may claim it. */
export function isHttp2(request: IncomingMessage): boolean {
  return request.httpVersionMajor === 2 && 'stream' in request;
}

/** Whether a body follows the head; in HTTP/2 the frame says so, no field has to. */
export function hasHttp2Body(request: IncomingMessage): boolean {
  return !(request as unknown as Http2ServerRequest).stream.endAfterHeaders;
}

/** Node's answers of HTTP/2 do not tell it like those of HTTP/1.1. */
export function isHttp2AnswerGone(response: ServerResponse): boolean {
  return 'stream' in response && (response.stream as Http2Stream | undefined)?.destroyed !== false;
}

/** Ends an answer that is not whole so that nobody takes it for whole. `false`: it is none of HTTP/2. */
export function cutHttp2Answer(response: ServerResponse): boolean {
  if (!('stream' in response)) return false;
  (response.stream as Http2Stream | undefined)?.close(constants.NGHTTP2_INTERNAL_ERROR);
  return true;
}

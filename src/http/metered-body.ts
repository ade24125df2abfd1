/** A body of unknown length on its way through the gateway, watched for its size and for framing that outweighs it. */
import type { IncomingMessage } from 'node:http';
import { Transform, type TransformCallback } from 'node:stream';
import { GatewayError } from '../errors.ts';
import { isHttp2 } from './http2-request.ts';

/** One read of a socket may hold the next request too, and honest clients send some tiny chunks. */
const freeBytes = 131_072;
/** A chunk of one byte takes six on the wire. */
const framingPerByte = 8;

/**
 * The body of `request`, of at most `maxBytes`. Chunk extensions have no limit over a whole body in Node's parser, only per chunk; a client
 * could send megabytes of them around a few bytes (RFC 9112 section 7.1.1). Such a body ends with REQUEST_TOO_LARGE;
 * one that is cut off ends with an error too. The connection of the client stays open for the answer.
 */
export function meteredBody(request: IncomingMessage, maxBytes: number): Transform {
  const body = new MeteredBody(request, maxBytes);
  request.once('error', (error) => body.destroy(error));
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('the request was cut off'));
  });
  // Whoever reads the body learns of its end by its own listener; this one keeps an early end from being unheard.
  body.on('error', () => request.unpipe(body));
  return request.pipe(body);
}

class MeteredBody extends Transform {
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  /** Frames of HTTP/2 have no extensions, and its connection carries other bodies too. */
  readonly #isChunked: boolean;
  readonly #readBefore: number;
  #contentBytes = 0;

  constructor(request: IncomingMessage, maxBytes: number) {
    super();
    this.#request = request;
    this.#maxBytes = maxBytes;
    this.#isChunked = !isHttp2(request);
    this.#readBefore = request.socket.bytesRead;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#contentBytes += chunk.length;
    if (this.#contentBytes > this.#maxBytes) {
      done(new GatewayError('REQUEST_TOO_LARGE', 'the body is larger than the application takes'));
    } else if (this.#isChunked && this.#isMostlyFraming()) {
      done(new GatewayError('REQUEST_TOO_LARGE', 'the chunks outweigh what is in them'));
    } else {
      done(null, chunk);
    }
  }

  #isMostlyFraming(): boolean {
    const wireBytes = this.#request.socket.bytesRead - this.#readBefore;
    return wireBytes > freeBytes + this.#contentBytes * (1 + framingPerByte);
  }
}

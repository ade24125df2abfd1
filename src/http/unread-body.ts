/**
 * What becomes of a body that nobody reads any more because its request has been answered: the client gets the answer
 * and is told to stop, instead of being left to send into the void or cut off before it has read.
 */
import type { ServerResponse } from 'node:http';
import { constants, type Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';
import { hasHttp2Body, isHttp2 } from './http2-request.ts';

/** How long a client may go on sending while it reads its answer. */
const lingerMs = 3_000;

/** To be called before the answer ends. Does nothing when the body has arrived whole. */
export function leaveBody({ request, response }: Pick<Exchange, 'request' | 'response'>): void {
  if (request.complete) return;
  if (!isHttp2(request)) {
    leaveConnection(response);
    return;
  }
  const { stream } = response as ServerResponse & { readonly stream?: Http2Stream };
  if (stream === undefined || !hasHttp2Body(request)) return;
  // RFC 9113 section 8.1: with the answer complete, this code asks for nothing but that the rest is not sent.
  stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
}

/** The connection ends with this answer: what follows on it is the rest of the body. */
function leaveConnection(response: ServerResponse): void {
  const socket = response.socket as Socket | null;
  if (socket === null) return;
  response.shouldKeepAlive = false;
  let isLeft = false;
  const leave = (): void => {
    if (!isLeft) linger(socket);
    isLeft = true;
  };
  // Node closes after an answer that says so: with bytes unread, that resets the connection and the answer is lost.
  socket.destroySoon = leave;
  response.once('finish', leave);
}

/** Says that nothing more comes, and throws away what still does (RFC 9112 section 9.6). */
function linger(socket: Socket): void {
  if (socket.destroyed) return;
  // A parser that held the connection back has to let go before it is taken away from it.
  socket.pause();
  socket.once('resume', () => {
    socket.removeAllListeners('data');
    socket.on('data', () => undefined);
  });
  socket.resume();
  // Node reads nothing more from a TLS connection that it has ended: there the answer's length has to say it.
  if (!('encrypted' in socket)) socket.end();
  const cut = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(cut));
}

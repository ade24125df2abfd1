/** Sends the body of a request to a server, at the pace of the slower of the two. */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { GatewayError } from '../../errors.ts';

export interface RequestBodyListener {
  /** The server took some of it. */
  onProgress(): void;
  /** All of it left. */
  onSent(): void;
  /** It will not come whole. */
  onFailed(error: Error): void;
}

export class RequestBody {
  readonly #body: Readable;
  readonly #socket: Socket;
  readonly #length: number | 'chunked';
  readonly #listener: RequestBodyListener;
  #bytes = 0;
  #isStopped = false;

  /** `length`: bytes announced in the head. */
  constructor(body: Readable, socket: Socket, length: number | 'chunked', listener: RequestBodyListener) {
    this.#body = body;
    this.#socket = socket;
    this.#length = length;
    this.#listener = listener;
    body.on('data', this.#onData);
    body.on('end', this.#onEnd);
    body.on('error', this.#onError);
    body.on('close', this.#onClose);
    socket.on('drain', this.#onDrain);
  }

  /** Nothing more is read or sent, and nobody is told. What still comes is its owner's. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const body = this.#body;
    body.off('data', this.#onData);
    body.off('end', this.#onEnd);
    body.off('close', this.#onClose);
    // The listener for errors stays: one that comes later has nobody else.
    this.#socket.off('drain', this.#onDrain);
    body.pause();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#length !== 'chunked' && this.#bytes > this.#length) {
      this.#fail(new GatewayError('REQUEST_MALFORMED', 'the body is longer than announced'));
      return;
    }
    if (this.#send(chunk)) this.#listener.onProgress();
    else this.#body.pause();
  };

  readonly #onDrain = (): void => {
    this.#listener.onProgress();
    this.#body.resume();
  };

  readonly #onEnd = (): void => {
    if (this.#length !== 'chunked' && this.#bytes < this.#length) {
      this.#fail(new GatewayError('REQUEST_MALFORMED', 'the body is shorter than announced'));
      return;
    }
    this.stop();
    if (this.#length === 'chunked') this.#socket.write('0\r\n\r\n', 'latin1');
    this.#listener.onSent();
  };

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(new Error('the request was cut off'));

  #fail(error: Error): void {
    if (this.#isStopped) return;
    this.stop();
    this.#listener.onFailed(error);
  }

  #send(chunk: Buffer): boolean {
    const socket = this.#socket;
    if (this.#length !== 'chunked') return socket.write(chunk);
    // An empty chunk would be the last one.
    if (chunk.length === 0) return true;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    const hasRoom = socket.write('\r\n', 'latin1');
    socket.uncork();
    return hasRoom;
  }
}

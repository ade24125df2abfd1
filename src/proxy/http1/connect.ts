/** Opens connections to one server: TCP, TLS or a unix socket. Knows nothing of what is said on them. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect as connectTls } from 'node:tls';
import type { TlsContext } from '../../lib/tls-context.ts';

export interface ServerAddress {
  /** Name or address, without brackets. Not looked at when there is a `path`. */
  readonly host: string;
  readonly port: number;
  /** Of a unix socket. */
  readonly path?: string | undefined;
  /** `undefined`: no TLS. */
  readonly tls?: ServerTls | undefined;
}

export interface ServerTls {
  /** The certificate must be for it, whatever Host a request carries. */
  readonly name: string;
  readonly context: TlsContext;
}

/** How what comes is read: `undefined` leaves it to whoever takes the socket as a stream. */
export type OnBytes = (bytes: Buffer) => void;

export type OnConnected = (error: Error | null, socket: Socket | null) => void;

/**
 * Every connection of this process reads into it: what came is used up before the next read. A buffer for each read
 * would be garbage that outweighs everything else in the heap.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

export class Connector {
  readonly #address: ServerAddress;
  readonly #timeoutMs: number;
  /** The handshake is shorter for whoever was here before (RFC 8446 section 2.2). */
  #session: Buffer | undefined;

  constructor(address: ServerAddress, timeoutMs: number) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /** `done` is called once, later. Bytes are valid during the call of `onBytes` only. */
  connect(onBytes: OnBytes | undefined, done: OnConnected): void {
    const { tls } = this.#address;
    const socket = this.#open(onBytes);
    const timer = setTimeout(
      () => socket.destroy(connectFailure(connectTimeout, 'not connected in time')),
      this.#timeoutMs,
    );
    const settle = (error: Error | null): void => {
      clearTimeout(timer);
      socket.off('error', onError);
      socket.off('close', onClose);
      done(error, error === null ? socket : null);
    };
    const onClose = (): void => settle(connectFailure('ECONNREFUSED', 'it hung up before it was connected'));
    const onError = (error: Error & { readonly code?: unknown }): void => {
      // In the handshake that is no connection that got lost: nothing was said on it.
      if (error.code === 'ECONNRESET') onClose();
      else settle(error);
    };
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => settle(null));
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
  }

  #open(onBytes: OnBytes | undefined): Socket {
    const { host, port, path, tls } = this.#address;
    const target = path === undefined ? { host, port } : { path };
    const reading = onBytes === undefined ? {} : { onread: readInto(onBytes) };
    if (tls === undefined) return connectTcp({ ...target, ...reading });
    const { name, context } = tls;
    const socket = connectTls({
      ...target,
      ...(reading as ConnectionOptions),
      // An address is verified as an address; as a name in the handshake it is not allowed (RFC 6066 section 3).
      servername: isIP(name) === 0 ? name : '',
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
      rejectUnauthorized: true,
      secureContext: context.current,
      session: this.#session,
    });
    return socket.on('session', (session) => (this.#session = session));
  }
}

/** Code of the error when the time for connecting is over. */
export const connectTimeout = 'CONNECT_TIMEOUT';

/** TCP asks an idle peer for a sign of life. */
const keepAliveMs = 60_000;

function readInto(onBytes: OnBytes): {
  buffer: Buffer;
  callback: (length: number, buffer: Uint8Array) => boolean;
} {
  return {
    buffer: readBuffer,
    callback: (length) => {
      onBytes(readBuffer.subarray(0, length));
      return true;
    },
  };
}

/** `code`: as the system would say it, or `connectTimeout`. */
function connectFailure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

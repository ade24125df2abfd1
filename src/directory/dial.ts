/**
 * Opens the one socket a connection lives on: DNS, TCP, StartTLS and TLS under one limit and one signal.
 * Certificates are verified in every mode; there is no option to skip it. Knows nothing of LDAP beyond StartTLS.
 */
import { connect as connectTcp, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Endpoint } from './endpoint.ts';
import { exchange } from './exchange.ts';
import { failureOfConnect, failureOfResult, LdapFailure } from './failures.ts';
import { encodeStartTls } from './requests.ts';
import { responseTags } from './responses.ts';

/** An open socket, and the only way to hear what arrives on it. */
export interface Wire {
  readonly socket: Socket;
  /** Called once, before anything was asked. The bytes up to `length` are only valid during the call. */
  readonly listen: (receive: Receiver) => void;
}

type Receiver = (bytes: Buffer, length: number) => void;

export interface DialOptions {
  /** Limit of the whole, not of each step. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Throws LdapFailure with stage `connect`. */
export async function dial(endpoint: Endpoint, options: DialOptions): Promise<Wire> {
  if (options.signal.aborted) throw failureOfConnect(options.signal.reason);
  // Nobody has asked anything yet: whoever speaks now speaks no LDAP.
  let receive: Receiver = () => void tcp.destroy();
  const tcp = connectTcp({
    host: endpoint.host,
    port: endpoint.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    ...(endpoint.transport === 'plain' ? { onread: readInto((...bytes) => receive(...bytes)) } : {}),
  });
  const end = new LdapFailure(`no connection within ${options.timeoutMs} ms`, {
    kind: 'unavailable',
    stage: 'connect',
  });
  const abort = (): void => void tcp.destroy(end);
  const timer = setTimeout(abort, options.timeoutMs);
  options.signal.addEventListener('abort', abort);
  let tls: Socket | undefined;
  try {
    await settled(tcp, 'connect');
    if (endpoint.transport === 'plain') return { socket: tcp, listen: (receiver) => (receive = receiver) };
    if (endpoint.transport === 'startTls') {
      const { resultCode } = await exchange(tcp, 'StartTLS', encodeStartTls, responseTags.extended);
      if (resultCode !== 0) throw failureOfResult('StartTLS', resultCode, 'connect');
    }
    tls = connectTls({
      socket: tcp,
      host: endpoint.certificateName,
      // An address is no server name (RFC 6066 section 3); the certificate is then checked against `host`.
      servername: isIP(endpoint.certificateName) === 0 ? endpoint.certificateName : '',
      secureContext: endpoint.secureContext as NonNullable<Endpoint['secureContext']>,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    });
    await settled(tls, 'secureConnect', tcp);
    return toWire(tls);
  } catch (error) {
    tls?.destroy();
    tcp.destroy();
    throw error instanceof LdapFailure ? error : failureOfConnect(error);
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', abort);
  }
}

/** One buffer for everything: a fifth of what sockets cost is making streams of bytes (bench/ldap.ts). */
function readInto(receive: Receiver): NonNullable<TcpNetConnectOpts['onread']> {
  const buffer = Buffer.allocUnsafeSlow(65_536);
  return {
    buffer,
    callback: (length) => {
      receive(buffer, length);
      return true;
    },
  };
}

/** Of a socket that a StartTLS or bind exchange may have left paused. */
function toWire(socket: Socket): Wire {
  return {
    socket,
    listen: (receive) => void socket.on('data', (chunk: Buffer) => receive(chunk, chunk.length)).resume(),
  };
}

/** Resolves on `event`; rejects on an error or close of the socket, or of the one below it. */
async function settled(socket: Socket, event: 'connect' | 'secureConnect', below = socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const finish = (settle: () => void): void => {
      socket.off(event, onEvent);
      socket.off('close', onClose);
      socket.off('error', onError);
      below.off('error', onError);
      // A socket that fails after this must not bring the process down before its next owner listens.
      socket.on('error', ignoreLateError);
      below.on('error', ignoreLateError);
      settle();
    };
    const onEvent = (): void => finish(resolve);
    const onError = (error: Error): void => finish(() => reject(error));
    const onClose = (): void =>
      finish(() =>
        reject(
          new LdapFailure('the server closed the connection', { kind: 'unavailable', stage: 'connect' }),
        ),
      );
    socket.on(event, onEvent);
    socket.on('error', onError);
    below.on('error', onError);
    socket.on('close', onClose);
  });
}

function ignoreLateError(): void {
  // The 'close' event that follows is what the owner acts on.
}

/**
 * Opens the one socket a connection lives on: DNS, TCP, StartTLS and TLS under one limit and one signal.
 * Certificates are verified in every mode; there is no option to skip it. Knows nothing of LDAP beyond StartTLS.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Endpoint } from './endpoint.ts';
import { failureOfConnect, failureOfResult, LdapFailure } from './failures.ts';

export interface DialOptions {
  /** Limit of the whole, not of each step. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Throws LdapFailure with stage `connect`. */
export async function dial(endpoint: Endpoint, options: DialOptions): Promise<Socket> {
  if (options.signal.aborted) throw failureOfConnect(options.signal.reason);
  const tcp = connectTcp({
    host: endpoint.host,
    port: endpoint.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
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
    if (endpoint.transport === 'plain') return tcp;
    if (endpoint.transport === 'startTls') await requestStartTls(tcp);
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
    return tls;
  } catch (error) {
    tls?.destroy();
    tcp.destroy();
    throw error instanceof LdapFailure ? error : failureOfConnect(error);
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', abort);
  }
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

/** ExtendedRequest 1.3.6.1.4.1.1466.20037 with message id 1 (RFC 4511 section 4.14.1). */
const startTlsRequest = Buffer.from('301d02010177188016312e332e362e312e342e312e313436362e3230303337', 'hex');
const maxStartTlsAnswerBytes = 4_096;

async function requestStartTls(socket: Socket): Promise<void> {
  socket.write(startTlsRequest);
  const code = await new Promise<number>((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      socket.off('data', onData);
      socket.off('error', onError);
      socket.off('close', onClose);
      socket.pause();
      settle();
    };
    const fail = (message: string): void =>
      finish(() => reject(new LdapFailure(message, { kind: 'protocol', stage: 'connect' })));
    const onError = (error: Error): void => finish(() => reject(error));
    const onClose = (): void =>
      finish(() =>
        reject(
          new LdapFailure('the server closed the connection on StartTLS', {
            kind: 'unavailable',
            stage: 'connect',
          }),
        ),
      );
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const length = messageLength(received);
      if (length === 'malformed' || received.length > maxStartTlsAnswerBytes) {
        fail('StartTLS was answered with something else than LDAP');
      } else if (length !== undefined && received.length > length) {
        // Bytes behind the answer were put there in clear text, by whoever: they must not be read as protected.
        fail('bytes follow the answer to StartTLS in clear text');
      } else if (length === received.length) {
        const answer = parseStartTlsAnswer(received);
        if (answer === undefined) fail('StartTLS was answered with another message');
        else finish(() => resolve(answer));
      }
    };
    socket.on('data', onData);
    socket.on('error', onError);
    socket.on('close', onClose);
  });
  if (code !== 0) throw failureOfResult('StartTLS', code, 'connect');
}

/** Whole length of the BER message at the start of `bytes`; `undefined`: more bytes are needed to tell. */
function messageLength(bytes: Buffer): number | 'malformed' | undefined {
  if (bytes.length < 2) return undefined;
  if (bytes[0] !== 0x30) return 'malformed';
  const first = bytes[1] as number;
  if (first < 0x80) return 2 + first;
  const lengthBytes = first & 0x7f;
  if (lengthBytes === 0 || lengthBytes > 2) return 'malformed';
  return bytes.length < 2 + lengthBytes ? undefined : 2 + lengthBytes + bytes.readUIntBE(2, lengthBytes);
}

/** Result code of an ExtendedResponse ([APPLICATION 24]) to message 1; `undefined`: it is another message. */
function parseStartTlsAnswer(message: Buffer): number | undefined {
  const id = contentStart(message, 0);
  if (message[id] !== 0x02 || message[id + 1] !== 1 || message[id + 2] !== 1) return undefined;
  if (message[id + 3] !== 0x78) return undefined;
  const code = contentStart(message, id + 3);
  return message[code] === 0x0a && message[code + 1] === 1 ? message[code + 2] : undefined;
}

/** Where the content of the BER element at `at` begins. */
function contentStart(message: Buffer, at: number): number {
  const first = message[at + 1] ?? 0;
  return at + 2 + (first < 0x80 ? 0 : first & 0x7f);
}

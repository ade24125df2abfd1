/**
 * SASL EXTERNAL (RFC 4422 appendix A): the server takes us for whom the certificate of the TLS handshake names. Spoken
 * on the bare socket before anything else uses it; no password exists that could leak.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type DialOptions, dial } from './dial.ts';
import type { Endpoint } from './endpoint.ts';
import { failureOfConnect, failureOfResult, LdapFailure } from './failures.ts';

/** BindRequest with message id 1, an empty name and an empty authorization identity: whoever the certificate says. */
const request = Buffer.from('301802010160130201030400a30c040845585445524e414c0400', 'hex');
const maxAnswerBytes = 16_384;

/** `dial`, and the bind. Throws LdapFailure with stage `connect`. */
export async function dialAsExternal(endpoint: Endpoint, options: DialOptions): Promise<Socket> {
  const startedAt = performance.now();
  const socket = await dial(endpoint, options);
  const leftMs = Math.max(0, options.timeoutMs - (performance.now() - startedAt));
  const end = (): void => void socket.destroy();
  const timer = setTimeout(end, leftMs);
  options.signal.addEventListener('abort', end);
  try {
    if (!(socket instanceof TLSSocket)) throw new TypeError('EXTERNAL needs a connection under TLS');
    const code = await exchange(socket);
    if (code !== 0) throw failureOfResult('the service bind', code, 'connect');
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', end);
  }
}

/** The result code of the answer. */
async function exchange(socket: Socket): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      socket.off('data', onData).off('error', onError).off('close', onClose);
      socket.pause();
      settle();
    };
    const fail = (kind: 'unavailable' | 'protocol', message: string): void =>
      finish(() => reject(new LdapFailure(message, { kind, stage: 'connect' })));
    const onError = (error: Error): void => finish(() => reject(failureOfConnect(error)));
    const onClose = (): void => fail('unavailable', 'the server closed the connection on the service bind');
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const code = readAnswer(received);
      if (code === 'malformed' || received.length > maxAnswerBytes) {
        fail('protocol', 'the service bind was answered with something else than a bind response');
      } else if (code !== undefined) {
        finish(() => resolve(code));
      }
    };
    socket.on('data', onData).on('error', onError).on('close', onClose);
    socket.write(request);
  });
}

/** Result code of exactly one BindResponse to message 1 (RFC 4511 section 4.2.2); `undefined`: not all of it is here. */
function readAnswer(bytes: Buffer): number | 'malformed' | undefined {
  const message = element(bytes, 0);
  if (message === 'short') return undefined;
  if (message === 'malformed' || message.tag !== 0x30) return 'malformed';
  if (message.end > bytes.length) return undefined;
  if (message.end < bytes.length) return 'malformed';
  const id = element(bytes, message.start);
  if (typeof id === 'string' || id.tag !== 0x02 || id.end - id.start !== 1 || bytes[id.start] !== 1) {
    return 'malformed';
  }
  const response = element(bytes, id.end);
  if (typeof response === 'string' || response.tag !== 0x61) return 'malformed';
  const code = element(bytes, response.start);
  if (typeof code === 'string' || code.tag !== 0x0a || code.end - code.start !== 1) return 'malformed';
  return bytes[code.start] ?? 'malformed';
}

/** The BER element at `at`; its content may reach beyond what has arrived. */
function element(
  bytes: Buffer,
  at: number,
): { tag: number; start: number; end: number } | 'short' | 'malformed' {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return 'short';
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first };
  const lengthBytes = first & 0x7f;
  if (lengthBytes === 0 || lengthBytes > 4) return 'malformed';
  const start = at + 2 + lengthBytes;
  if (start > bytes.length) return 'short';
  const end = start + bytes.readUIntBE(at + 2, lengthBytes);
  return end - at > maxAnswerBytes ? 'malformed' : { tag, start, end };
}

/**
 * SASL EXTERNAL (RFC 4422 appendix A): the server takes us for whom the certificate of the TLS handshake names. Spoken
 * on the bare socket before anything else uses it; no password exists that could leak.
 */
import { TLSSocket } from 'node:tls';
import { type DialOptions, dial, type Wire } from './dial.ts';
import type { Endpoint } from './endpoint.ts';
import { exchange } from './exchange.ts';
import { failureOfConnect, failureOfResult, LdapFailure } from './failures.ts';
import { encodeExternalBind } from './requests.ts';
import { responseTags } from './responses.ts';

/** `dial`, and the bind. Throws LdapFailure with stage `connect`. */
export async function dialAsExternal(endpoint: Endpoint, options: DialOptions): Promise<Wire> {
  const startedAt = performance.now();
  const wire = await dial(endpoint, options);
  const { socket } = wire;
  const leftMs = Math.max(0, options.timeoutMs - (performance.now() - startedAt));
  const end = (): void => void socket.destroy();
  const timer = setTimeout(end, leftMs);
  options.signal.addEventListener('abort', end);
  try {
    if (!(socket instanceof TLSSocket)) throw new TypeError('EXTERNAL needs a connection under TLS');
    const { resultCode } = await exchange(socket, 'the service bind', encodeExternalBind, responseTags.bind);
    if (resultCode !== 0) throw failureOfResult('the service bind', resultCode, 'connect');
    return wire;
  } catch (error) {
    socket.destroy();
    throw error instanceof LdapFailure || error instanceof TypeError ? error : failureOfConnect(error);
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', end);
  }
}

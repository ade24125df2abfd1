/**
 * The built-in whoami page as an application of its own: stands behind the front proxy for the time of the probes and
 * answers what it received, so that a probe sees what an application there would see.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { whoamiPage } from '../../proxy/whoami.ts';
import type { Field, ProbeAnswer } from './probe-client.ts';

/** A request as the application behind the front proxy received it. */
export interface EchoedHead {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
}

/** Asks the echo for JSON. */
export const asJson: Field = ['Accept', 'application/json'];

export interface Echo extends AsyncDisposable {
  readonly port: number;
}

/** Rejects with the system's error when the address cannot be listened on. */
export async function startEcho(address: { readonly host: string; readonly port: number }): Promise<Echo> {
  const server = createServer({ maxHeaderSize: 262_144 }, (request, response) => {
    const page = whoamiPage({
      method: request.method as string,
      target: request.url as string,
      headers: request.rawHeaders,
      identityHeaders: [],
    });
    // The body is no part of the answer; reading it keeps the connection of the front proxy usable.
    request.resume();
    response.writeHead(page.status, [
      ...page.headers,
      'Content-Length',
      String(Buffer.byteLength(page.body)),
    ]);
    response.end(request.method === 'HEAD' ? undefined : page.body);
  });
  server.listen(address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

/** `undefined`: the answer is not that of a whoami page. */
export function parseEcho({ status, body }: ProbeAnswer): EchoedHead | undefined {
  if (status !== 200 || !body.startsWith('{"method":')) return undefined;
  const { method, target, headers } = JSON.parse(body) as Record<string, unknown>;
  if (typeof method !== 'string' || typeof target !== 'string' || !Array.isArray(headers)) return undefined;
  return { method, target, fields: headers as readonly Field[] };
}

/** Binds a server to a configured address, TCP or unix socket. Knows nothing of what is spoken there. */
import cluster from 'node:cluster';
import { chmodSync, rmSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import type { ListenAddress } from './options.ts';

/** Resolves with the address it really has (port 0 becomes the port that was free); rejects with Node's error. */
export async function bind(server: Server, address: ListenAddress): Promise<ListenAddress> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  if (address.kind === 'unix') {
    // Worker processes share the socket that their primary opened: here it is no remnant.
    if (!cluster.isWorker) removeRemnant(address);
    server.listen({ path: address.path, backlog: 1_024 }, resolve);
  } else {
    server.listen({ host: address.host, port: address.port, backlog: 1_024 }, resolve);
  }
  await promise;
  server.off('error', reject);
  if (address.kind === 'unix') {
    chmodSync(address.path, address.mode ?? 0o660);
    return address;
  }
  return { ...address, port: (server.address() as AddressInfo).port };
}

/** A socket file that a killed process left behind would refuse the address. Call it before workers are forked. */
export function removeRemnant(address: ListenAddress): void {
  if (address.kind === 'unix') rmSync(address.path, { force: true });
}

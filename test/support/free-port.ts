/** Ports for servers that cannot be told to listen on port 0 and say which one they got. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Different loopback ports that nobody listened on a moment ago; another process may still take one first. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  for (const server of servers) if (!server.listening) await once(server, 'listening');
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
    return address.port;
  });
  for (const server of servers) await once(server.close(), 'close');
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

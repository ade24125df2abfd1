/** Ports for servers that cannot be told to listen on port 0 and say which one they got. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/**
 * Below those that the kernel gives to whoever asks for any port, connections among them: between being chosen and
 * being listened on, none of these goes to somebody who did not choose it.
 */
const lowest = 20_000;
const ephemeral = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1'), 10);

/** Different loopback ports that nobody listened on a moment ago; another process may still choose one too. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listenSomewhere));
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

async function listenSomewhere(): Promise<Server> {
  for (;;) {
    const port = ephemeral > lowest ? randomInt(lowest, ephemeral) : 0;
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

/** Connections of a server as the kernel lists them for its port: what a client claims plays no part. */
import { readFileSync } from 'node:fs';

/** Open for both sides, for each of the ports. */
export function establishedOn(ports: readonly number[]): number[] {
  return countOn(ports, '01');
}

/** Anything that still costs the server a socket, whatever its state; TIME_WAIT (06) and the listener (0A) do not. */
export function leftOn(ports: readonly number[]): number {
  return countOn(ports, '0[1-5789B]').reduce((sum, count) => sum + count, 0);
}

function countOn(ports: readonly number[], states: string): number[] {
  // `sl: local_address rem_address st …`, addresses in hexadecimal.
  const list = readFileSync('/proc/net/tcp', 'latin1');
  return ports.map((port) => {
    const local = port.toString(16).toUpperCase().padStart(4, '0');
    const row = new RegExp(`^ *\\d+: [0-9A-F]{8}:${local} [0-9A-F]{8}:[0-9A-F]{4} ${states} `, 'gm');
    return list.match(row)?.length ?? 0;
  });
}

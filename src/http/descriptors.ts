/** How many connections a process may take before it runs out of file descriptors. */
import { readFileSync } from 'node:fs';

/** The rest is for applications, directories, files and the channel to the primary. */
const shareOfClients = 0.6;

/**
 * Connections of clients this process may hold; `undefined` where the limit cannot be read (no Linux) or there is none.
 * Beyond its descriptors Node loses connections without an error, and a worker that could not take one over from the
 * primary is never offered another.
 */
export function maxClientConnections(limits: string | undefined = readLimits()): number | undefined {
  const soft = /^Max open files\s+(\d+)/m.exec(limits ?? '')?.[1];
  return soft === undefined ? undefined : Math.floor(Number(soft) * shareOfClients);
}

function readLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

/** Connections of a server as the kernel lists them for its port: what a client claims plays no part. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

interface Row {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: string;
  readonly inode: string;
}

/** Open for both sides, for each of the ports. Those of the process `except` do not count. */
export function establishedOn(ports: readonly number[], except: number | undefined): number[] {
  const rows = rowsOf(ports);
  const own = except === undefined ? new Set<string>() : socketsOf(except);
  const excepted = new Set(rows.filter(({ inode }) => own.has(inode)).map(({ localPort }) => localPort));
  return ports.map(
    (port) =>
      rows.filter(
        ({ localPort, remotePort, state }) =>
          localPort === port && state === '01' && !excepted.has(remotePort),
      ).length,
  );
}

/** Anything that still costs the server a socket, whatever its state; TIME_WAIT (06) and the listener (0A) do not. */
export function leftOn(ports: readonly number[]): number {
  return rowsOf(ports).filter(
    ({ localPort, state }) => ports.includes(localPort) && state !== '06' && state !== '0A',
  ).length;
}

/** Rows that have one of the ports on either side. */
function rowsOf(ports: readonly number[]): Row[] {
  // `sl: local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`, addresses in hexadecimal.
  const list = readFileSync('/proc/net/tcp', 'latin1');
  const wanted = ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0')).join('|');
  const row = new RegExp(
    `^ *\\d+: [0-9A-F]{8}:(?=\\w{4} \\w{8}:(?:${wanted}) |(?:${wanted}) )(\\w{4}) \\w{8}:(\\w{4}) (\\w\\w) \\S+ \\S+ +\\S+ +\\d+ +\\d+ (\\d+)`,
    'gm',
  );
  return [...list.matchAll(row)].map(([, local = '', remote = '', state = '', inode = '']) => ({
    localPort: Number.parseInt(local, 16),
    remotePort: Number.parseInt(remote, 16),
    state,
    inode,
  }));
}

function socketsOf(pid: number): Set<string> {
  const folder = `/proc/${pid}/fd`;
  const inodes = readdirSync(folder).map((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1];
    } catch (error) {
      // Closed since the folder was read.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  });
  return new Set(inodes.filter((inode) => inode !== undefined));
}

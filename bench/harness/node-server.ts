/** A server of one file of this folder in a process of its own, which prints its port when it listens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface NodeServer extends Disposable {
  readonly port: number;
  readonly pid: number;
}

export async function startNodeServer(file: string, argument: string): Promise<NodeServer> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [path, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    port: Number(line.toString()),
    pid: child.pid as number,
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

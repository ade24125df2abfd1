/** Processes that this one has started, as the kernel lists them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the living children whose command line contains `text`. */
export function childProcesses(text: string, parent: number = process.pid): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const status = read(`/proc/${pid}/stat`);
      // The name in brackets may contain anything; state and parent come behind it.
      const [state, ppid] = status.slice(status.lastIndexOf(')') + 2).split(' ');
      return Number(ppid) === parent && state !== 'Z' && read(`/proc/${pid}/cmdline`).includes(text);
    });
}

export function isAlive(pid: number): boolean {
  const status = read(`/proc/${pid}/stat`);
  return status !== '' && status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3) !== 'Z';
}

/** Empty when the process has ended in the meantime. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** A command of the program, run in this process as its entry point runs it, and what it printed. */
import type { CommandIo } from '#src/cli/command-io.ts';

export interface CommandRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Both, in the order in which they were written. */
  readonly printed: string;
}

type Output = Pick<CommandIo, 'stdout' | 'stderr'>;

/** `around`: what else the command may touch, its environment and perhaps its standard input. */
export async function runCommand<Around extends object>(
  command: (argv: readonly string[], io: Output & Around) => Promise<number>,
  argv: readonly string[],
  around: Around,
): Promise<CommandRun> {
  const run = { out: '', err: '', printed: '' };
  const into = (stream: 'out' | 'err') => ({
    write: (text: string) => {
      run[stream] += text;
      run.printed += text;
    },
  });
  const code = await command(argv, { ...around, stdout: into('out'), stderr: into('err') });
  return { code, ...run };
}

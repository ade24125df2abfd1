/** A process that is told what to do in lines, and answers each with one line of JSON. */
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ToldProcess<Answer> extends Disposable {
  tell(line: string): Promise<Answer>;
}

export function startToldProcess<Answer>(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): ToldProcess<Answer> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    tell: async (line) => {
      child.stdin.write(`${line}\n`);
      const answer = await lines.next();
      if (answer.done === true) throw new Error(`${command} ended with ${child.exitCode ?? 'no code'}`);
      return JSON.parse(answer.value) as Answer;
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

/** Compiles a file of this folder into another one and answers the program. */
export function compile(source: string, folder: string, libraries: readonly string[]): string {
  const program = join(folder, source.replace(/\.c$/, ''));
  const file = fileURLToPath(new URL(source, import.meta.url));
  execFileSync('cc', ['-O2', '-o', program, file, ...libraries.map((name) => `-l${name}`)]);
  return program;
}

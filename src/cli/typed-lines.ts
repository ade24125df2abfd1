/** Lines from standard input, which for passwords is the only way in: arguments are seen by everybody on the machine. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

export interface TypedInput {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
}

/** One line per prompt; on a terminal the prompt is shown and what is typed is not. Fewer when the input ends. */
export async function readLines(io: TypedInput, prompts: readonly string[]): Promise<string[]> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = io.stdin.isTTY === true;
  const reader = createInterface({ input: io.stdin, output: nowhere, terminal, historySize: 0 });
  const lines: string[] = [];
  try {
    const typed = reader[Symbol.asyncIterator]();
    for (const prompt of prompts) {
      if (terminal) io.stderr.write(prompt);
      const line = await typed.next();
      if (terminal) io.stderr.write('\n');
      if (line.done === true) break;
      lines.push(line.value);
    }
  } finally {
    reader.close();
  }
  return lines;
}

/** `vratar hash-password`: reads one line from standard input and prints its argon2id hash in PHC spelling. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { createPasswordHash } from '../providers/password-hash.ts';
import { maxPasswordBytes } from '../providers/password-input.ts';

export interface HashPasswordIo {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

const exitUnusable = 1;
const exitUsage = 64;

/** 0: printed; 1: the password is empty, too long or was typed differently twice; 64: unexpected argument. */
export async function hashPassword(argv: readonly string[], io: HashPasswordIo): Promise<number> {
  if (argv.length > 0) {
    // Everybody on the machine can read the arguments of a process.
    io.stderr.write('vratar hash-password: takes no argument; the password is read from standard input\n');
    return exitUsage;
  }
  const problem = (text: string): number => {
    io.stderr.write(`vratar hash-password: ${text}\n`);
    return exitUnusable;
  };
  const isTerminal = io.stdin.isTTY === true;
  const [password = '', repeated] = await readLines(io, isTerminal ? ['Password: ', 'Once more: '] : ['']);
  if (password === '') return problem('the password is empty');
  if (Buffer.byteLength(password) > maxPasswordBytes) {
    return problem(`the password is longer than ${maxPasswordBytes} bytes`);
  }
  if (isTerminal && password !== repeated) return problem('the two entries differ');
  io.stdout.write(`${await createPasswordHash(password)}\n`);
  return 0;
}

/** One line per prompt, without showing on a terminal what is typed. */
async function readLines(io: HashPasswordIo, prompts: readonly string[]): Promise<string[]> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = io.stdin.isTTY === true;
  const reader = createInterface({ input: io.stdin, output: nowhere, terminal, historySize: 0 });
  const lines: string[] = [];
  try {
    const typed = reader[Symbol.asyncIterator]();
    for (const prompt of prompts) {
      io.stderr.write(prompt);
      const line = await typed.next();
      if (prompt !== '') io.stderr.write('\n');
      if (line.done === true) break;
      lines.push(line.value);
    }
  } finally {
    reader.close();
  }
  return lines;
}

/** `vratar hash-password`: reads one line from standard input and prints its argon2id hash in PHC spelling. */
import { createPasswordHash } from '../providers/password-hash.ts';
import { maxPasswordBytes } from '../providers/password-input.ts';
import { readLines, type TypedInput } from './typed-lines.ts';

export interface HashPasswordIo extends TypedInput {
  readonly stdout: { write(text: string): unknown };
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

/** Tells a mistyped command line from a defect. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { CommandIo } from './command-io.ts';

/** EX_USAGE of sysexits.h. */
export const exitUsage = 64;
/** EX_CONFIG of sysexits.h. */
export const exitInvalid = 78;

/** `parseArgs`, with a mistake of the operator told as one sentence on standard error; then `undefined`. */
export function readArguments<Config extends ParseArgsConfig>(
  command: string,
  config: Config,
  io: Pick<CommandIo, 'stderr'>,
): ReturnType<typeof parseArgs<Config>> | undefined {
  try {
    return parseArgs(config);
  } catch (error) {
    if (!isUsageMistake(error)) throw error;
    io.stderr.write(`vratar ${command}: ${error.message}\n`);
    return undefined;
  }
}

function isUsageMistake(error: unknown): error is Error {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return typeof error.code === 'string' && error.code.startsWith('ERR_PARSE_ARGS');
}

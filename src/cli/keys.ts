/** `vratar keys rotate`: another key signs identity assertions from now on. */

import { callAdmin } from './admin-call.ts';
import type { CommandIo } from './command-io.ts';
import { exitUsage, readArguments } from './usage-mistake.ts';

/** What the running gateway answers. */
export interface RotationReport {
  readonly signing: string;
  readonly published: readonly string[];
}

const options = { config: { type: 'string' }, compromised: { type: 'boolean' } } as const;

/** 0: done; 64: not understood; 69: the gateway does not run or refused; 78: no valid configuration. */
export async function keys(argv: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments('keys', { args: [...argv], options, allowPositionals: true }, io);
  if (parsed === undefined) return exitUsage;
  const { values, positionals } = parsed;
  if (positionals.join(' ') !== 'rotate') {
    io.stderr.write('vratar keys: expected "vratar keys rotate --config FILE [--compromised]"\n');
    return exitUsage;
  }
  const compromised: Readonly<Record<string, string>> =
    values.compromised === true ? { compromised: 'true' } : {};
  const answer = await callAdmin('keys/rotate', compromised, values.config, io);
  if (answer.kind === 'failed') return answer.exitCode;
  const { signing, published } = answer.value as RotationReport;
  io.stdout.write(
    `assertions are signed with key ${signing} from now on\npublished: ${published.join(', ')}\n`,
  );
  return 0;
}

/** `vratar schema`: prints the JSON schema of the configuration, the text of config/vratar.schema.json. */
import { describeConfig } from '../config/describe.ts';
import type { CommandIo } from './command-io.ts';

export function schema(_argv: readonly string[], io: CommandIo): Promise<number> {
  io.stdout.write(describeConfig());
  return Promise.resolve(0);
}

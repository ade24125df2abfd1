/** `vratar zimbra test NAME --account A`: tries the way into a mailbox and says in one sentence what is wrong. */
import { ConfigInvalidError, loadConfig } from '../config/load.ts';
import { systemClock } from '../lib/clock.ts';
import type { ZimbraOptions } from '../preauth/options.ts';
import type { CommandIo } from './command-io.ts';
import { exitInvalid, exitUsage, readArguments } from './usage-mistake.ts';

const usage = 'vratar zimbra test NAME --account ACCOUNT [--domain DOMAIN] [--config FILE]';

const options = {
  config: { type: 'string' },
  account: { type: 'string' },
  domain: { type: 'string' },
} as const;

/** 0: the mailbox can be opened; 1: it cannot; 64 and 78: the command or the configuration is wrong. */
export async function zimbra(argv: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments('zimbra', { args: [...argv], options, allowPositionals: true }, io);
  if (parsed === undefined) return exitUsage;
  const { values, positionals } = parsed;
  const [verb, name, ...more] = positionals;
  const { account, domain } = values;
  if (verb !== 'test' || name === undefined || account === undefined || more.length > 0) {
    io.stderr.write(`vratar zimbra: expected a name and an account\nusage: ${usage}\n`);
    return exitUsage;
  }
  const found = load(values.config ?? io.env['VRATAR_CONFIG'], name, io);
  if (found === undefined) return exitInvalid;
  // Only here, so that a mistyped command needs no client.
  const [{ Zimbra }, { diagnose }] = await Promise.all([
    import('../preauth/zimbra.ts'),
    import('../preauth/diagnosis.ts'),
  ]);
  await using way = new Zimbra({
    // The one probe this needs is asked for.
    options: { ...found, healthInterval: 0 },
    accountOf: () => account,
    clock: systemClock,
    onProbed: () => {},
  });
  const { works, sentence } = await diagnose(way, { account, domain }, systemClock);
  io.stdout.write(`${sentence}\n`);
  return works ? 0 : 1;
}

function load(file: string | undefined, name: string, io: CommandIo): ZimbraOptions | undefined {
  if (file === undefined || file === '') {
    io.stderr.write('vratar zimbra: no configuration; give --config FILE or set VRATAR_CONFIG\n');
    return undefined;
  }
  try {
    const { config } = loadConfig(file, { env: io.env });
    const found = config.zimbra.find((each) => each.name === name);
    if (found === undefined) {
      const known = config.zimbra.map((each) => each.name).join(', ') || 'none';
      io.stderr.write(`vratar zimbra: no entry of zimbra is named "${name}"; there is ${known}\n`);
    }
    return found;
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    io.stdout.write(`${error.message}\n`);
    return undefined;
  }
}

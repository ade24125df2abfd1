/** `vratar sessions list|revoke`: who is signed in at the running gateway, and the end of it. */
import type { RevocationReport } from '../gateway/operators/session-commands.ts';
import type { SessionOverview, SignedInPerson } from '../state/session-census.ts';
import { callAdmin } from './admin-call.ts';
import type { CommandIo } from './command-io.ts';
import { printable } from './printable.ts';
import { exitUsage, readArguments } from './usage-mistake.ts';

const options = {
  config: { type: 'string' },
  limit: { type: 'string' },
  user: { type: 'string' },
  all: { type: 'boolean' },
} as const;

const usage =
  'vratar sessions: expected "vratar sessions list --config FILE [--limit N]" or ' +
  '"vratar sessions revoke --config FILE --user [PROVIDER:]NAME | --all"\n';

/** 0: done; 64: not understood; 69: the gateway does not run or refused; 78: no valid configuration. */
export async function sessions(argv: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments('sessions', { args: [...argv], options, allowPositionals: true }, io);
  if (parsed === undefined) return exitUsage;
  const { values, positionals } = parsed;
  const { config, limit, user, all = false } = values;
  switch (positionals.join(' ')) {
    case 'list':
      if (user === undefined && !all) return await list(limit, config, io);
      break;
    case 'revoke':
      if (limit === undefined && (user !== undefined && user !== '') !== all)
        return await revoke(user, config, io);
      break;
  }
  io.stderr.write(usage);
  return exitUsage;
}

async function list(limit: string | undefined, config: string | undefined, io: CommandIo): Promise<number> {
  const parameters: Readonly<Record<string, string>> = limit === undefined ? {} : { limit };
  const answer = await callAdmin('sessions/list', parameters, config, io);
  if (answer.kind === 'failed') return answer.exitCode;
  const overview = answer.value as SessionOverview;
  io.stdout.write(
    `${count(overview.sessions, 'session')} of ${overview.people === 1 ? '1 person' : `${overview.people} people`}\n`,
  );
  if (overview.listed.length === 0) return 0;
  io.stdout.write(`\n${table(overview.listed)}`);
  const more = overview.people - overview.listed.length;
  if (more > 0) io.stdout.write(`and ${more} more: raise --limit to see them\n`);
  return 0;
}

async function revoke(user: string | undefined, config: string | undefined, io: CommandIo): Promise<number> {
  const parameters: Readonly<Record<string, string>> = user === undefined ? { everyone: 'true' } : { user };
  const answer = await callAdmin('sessions/revoke', parameters, config, io);
  if (answer.kind === 'failed') return answer.exitCode;
  io.stdout.write(`${count((answer.value as RevocationReport).sessions, 'session')} ended\n`);
  return 0;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

const head = ['account', 'provider', 'sessions', 'since', 'last used'] as const;

function table(people: readonly SignedInPerson[]): string {
  const rows = people.map(({ username, provider, sessions: own, authenticatedAtMs, lastUsedAtMs }) => [
    printable(username),
    printable(provider),
    String(own),
    instant(authenticatedAtMs),
    instant(lastUsedAtMs),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `${cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()}\n`;
  return line(head) + rows.map(line).join('');
}

/** UTC to the second, as in the log. */
function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

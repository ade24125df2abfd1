/** `vratar directory test`: what the directories of a configuration say of one account, and whether it would be let in. */
import { compileRoles } from '../access/roles.ts';
import { ConfigInvalidError, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { examineAccount } from '../directory/examination.ts';
import type { DirectoryOptions } from '../directory/options.ts';
import { sampleDirectory } from '../directory/sample.ts';
import { toNameClaims } from '../identity/account-name.ts';
import { GroupTable } from '../identity/group.ts';
import { systemClock } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import { toPrincipal } from '../providers/directory-principal.ts';
import type { CommandIo } from './command-io.ts';
import { type DirectoryReport, type Grant, reportText, toReport, type Verdict } from './directory-report.ts';
import { type SampleReport, sampleText, toSampleReport } from './directory-sample.ts';
import { readLines, type TypedInput } from './typed-lines.ts';
import { exitInvalid, exitUsage, readArguments } from './usage-mistake.ts';

export type DirectoryIo = CommandIo & TypedInput;

/** Servers that swallow everything must not keep an operator waiting. */
const deadlineMs = 60_000;

const usage = `usage: vratar directory test [NAME...] [--user U] [options]

  NAME              a directory of the configuration; default: all of them
  --user U          the account, as it is typed on the sign-in page; without it: the first few people
  --password-stdin  try the password on the first line of standard input, once; needs one NAME
  --config FILE     default: VRATAR_CONFIG
  --json            for programs

exit: 0 would be let in (without --user: works), 1 would not, 75 no server answered, 78 the configuration is wrong, 64 not understood
`;

const options = {
  config: { type: 'string' },
  user: { type: 'string' },
  'password-stdin': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

/** EX_TEMPFAIL of sysexits.h: later it may work. */
const exitOutage = 75;
const exitCodes: Readonly<Record<Verdict, number>> = {
  accepted: 0,
  rejected: 1,
  unavailable: exitOutage,
  misconfigured: exitInvalid,
};
/** Who is let in by one directory is let in; otherwise what somebody has to see to comes first. */
const order: readonly Verdict[] = ['accepted', 'misconfigured', 'unavailable', 'rejected'];

/** 0: would be let in, or works; 1: would not; 64: not understood; 75: no server answered; 78: the configuration is wrong. */
export async function directory(argv: readonly string[], io: DirectoryIo): Promise<number> {
  const parsed = readArguments('directory', { args: [...argv], options, allowPositionals: true }, io);
  if (parsed === undefined) return exitUsage;
  const { values, positionals } = parsed;
  const [verb, ...names] = positionals;
  const wrong = (text: string): number => {
    io.stderr.write(`vratar directory test: ${text}\n`);
    return exitUsage;
  };
  if (verb !== 'test') return wrong(`expected "test"\n${usage}`);
  const { user } = values;
  if (user === '') return wrong('--user is empty');
  if (user === undefined && values['password-stdin'] === true) return wrong('--password-stdin needs --user');
  if (values['password-stdin'] === true && names.length !== 1) {
    return wrong(
      '--password-stdin needs one NAME: a wrong password counts as a failed attempt wherever it is tried',
    );
  }
  const config = load(values.config ?? io.env['VRATAR_CONFIG'], io);
  if (config === undefined) return exitInvalid;
  const unknown = names.find((name) => !config.directories.some((each) => each.name === name));
  if (unknown !== undefined) {
    return wrong(
      `no directory is named "${unknown}"; there are: ${config.directories.map(({ name }) => name).join(', ')}`,
    );
  }
  const tested = config.directories.filter(({ name }) => names.length === 0 || names.includes(name));
  if (tested.length === 0) return wrong('the configuration has no directories');
  if (user === undefined) return await showSamples(tested, values.json === true, io);
  const password =
    values['password-stdin'] === true
      ? new Secret((await readLines(io, ['Password: ']))[0] ?? '')
      : undefined;
  if (password?.isEmpty === true) return wrong('the password on standard input is empty');

  const reports = await Promise.all(
    tested.map(async (each) => await examine(each, { config, user, password })),
  );
  const verdict = order.find((each) => reports.some((report) => report.verdict === each)) ?? 'rejected';
  io.stdout.write(
    values.json === true
      ? `${JSON.stringify({ user, verdict, directories: reports }, undefined, 2)}\n`
      : reports.map(reportText).join('\n'),
  );
  return exitCodes[verdict];
}

async function showSamples(
  tested: readonly DirectoryOptions[],
  isJson: boolean,
  io: CommandIo,
): Promise<number> {
  const signal = AbortSignal.timeout(deadlineMs);
  const reports = await Promise.all(
    tested.map(
      async (each): Promise<SampleReport> =>
        toSampleReport(each.name, await sampleDirectory(each, { signal, clock: systemClock })),
    ),
  );
  // All of them have to work here: nobody is let in by another one instead.
  const verdict =
    (['misconfigured', 'unavailable'] as const).find((each) =>
      reports.some((report) => report.verdict === each),
    ) ?? 'accepted';
  io.stdout.write(
    isJson
      ? `${JSON.stringify({ verdict, directories: reports }, undefined, 2)}\n`
      : reports.map(sampleText).join('\n'),
  );
  return exitCodes[verdict];
}

async function examine(
  tested: DirectoryOptions,
  { config, user, password }: { config: Config; user: string; password: Secret | undefined },
): Promise<DirectoryReport> {
  const groupTable = new GroupTable();
  const providers = config.providers.filter(
    (provider) => 'directory' in provider && provider.directory === tested.name,
  );
  const typed = providers.filter((provider) => provider.type === 'ldap');
  const examination = await examineAccount(tested, {
    user,
    password,
    claims: toNameClaims({
      suffixes: typed.flatMap(({ suffixes = [] }) => suffixes),
      domains: typed.flatMap(({ domains = [] }) => domains),
    }),
    groupTable,
    clock: systemClock,
    signal: AbortSignal.timeout(deadlineMs),
  });
  const { outcome } = examination;
  const grantRoles = compileRoles(config.roles, groupTable);
  const grants = providers.map(({ name }): Grant => {
    if (outcome.kind !== 'accepted') return { provider: name, roles: [], groups: [], accessLevel: 'user' };
    const before = toPrincipal(name, outcome.person);
    const { roles, accessLevel, groups } = grantRoles(before);
    const granted = groups.filter((group) => !before.groups.includes(group)).map((group) => group.name);
    return { provider: name, roles, groups: granted, accessLevel };
  });
  return toReport(tested, examination, { user, grants, isPasswordTried: password !== undefined });
}

function load(file: string | undefined, io: CommandIo): Config | undefined {
  if (file === undefined || file === '') {
    io.stderr.write('vratar directory test: no configuration; give --config FILE or set VRATAR_CONFIG\n');
    return undefined;
  }
  try {
    return loadConfig(file, { env: io.env }).config;
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    io.stderr.write(`${error.message}\n`);
    return undefined;
  }
}

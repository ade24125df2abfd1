/** The command line: picks the command, runs it, answers the exit code. */

const usage = `Usage: vratar COMMAND [options]

  serve --config FILE            run the gateway
  check --config FILE [--connect] validate the configuration; exit 0 or 78
  explain --config FILE --user NAME --method GET URL
                                 say which application and rule decide, and why; exit 0 when allowed
  keys rotate --config FILE      sign identity assertions with another key from now on
  sessions list --config FILE    say who is signed in
  sessions revoke --config FILE --user [PROVIDER:]NAME | --all
                                 end the sessions of an account, or of everybody
  backup FILE --config FILE      write the state and keys of the running gateway into one tar archive
  doctor --through URL           drive the front proxy from outside and say what does not protect; exit 0 or 1
  zimbra test NAME --account A   try the way into a mailbox and say what is wrong; exit 0 or 1
  directory test [NAME] --user U say what a directory knows of an account and whether it would be let in
  hash-password                  read a password from standard input, print an argon2id hash
  schema                         print the JSON schema of the configuration

FILE may also come from the environment variable VRATAR_CONFIG.
`;

/** Exit code for "the command was not understood" and for an invalid configuration (sysexits: EX_USAGE, EX_CONFIG). */
const exitUsage = 64;

/** Each command is imported only when it runs: `check` need not pay for what `serve` loads. */
const commands: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = {
  serve: async (argv) => await (await import('./cli/serve.ts')).serve(argv),
  worker: async () => await (await import('./cli/worker.ts')).worker(),
  check: async (argv) => await (await import('./cli/check.ts')).check(argv, process),
  explain: async (argv) => await (await import('./cli/explain.ts')).explain(argv, process),
  keys: async (argv) => await (await import('./cli/keys.ts')).keys(argv, process),
  sessions: async (argv) => await (await import('./cli/sessions.ts')).sessions(argv, process),
  backup: async (argv) => await (await import('./cli/backup.ts')).backup(argv, process),
  doctor: async (argv) => await (await import('./cli/doctor.ts')).doctor(argv, process),
  zimbra: async (argv) => await (await import('./cli/zimbra.ts')).zimbra(argv, process),
  directory: async (argv) => await (await import('./cli/directory.ts')).directory(argv, process),
  'hash-password': async (argv) => await (await import('./cli/hash-password.ts')).hashPassword(argv, process),
  schema: async (argv) => await (await import('./cli/schema.ts')).schema(argv, process),
};

/** `argv` without the interpreter and the script. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help') {
    process.stdout.write(usage);
    return name === undefined ? exitUsage : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    process.stderr.write(`vratar: unknown command "${name}"\n\n${usage}`);
    return exitUsage;
  }
  return await command(rest);
}

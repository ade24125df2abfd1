/** Runs `vratar doctor` in this process, on an nginx with the shipped snippets or with spoiled ones. */
import { PassThrough } from 'node:stream';
import { doctor } from '#src/cli/doctor.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { type NginxOptions, protectedServer, startNginx } from '#test/servers/nginx.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';
import { freePort } from '#test/support/free-port.ts';

export async function run(argv: readonly string[], password = ''): Promise<CommandRun> {
  const stdin = new PassThrough();
  stdin.end(`${password}\n`);
  return await runCommand(doctor, argv, { env: {}, stdin });
}

export interface Plant {
  readonly spoil?: NginxOptions['spoil'];
  /** More lines of the server block; `${application}` stands for its address. */
  readonly server?: string;
  /** More lines of the protected location. */
  readonly location?: string;
  readonly argv?: (addresses: { readonly echo: string }) => readonly string[];
}

/** The doctor's words about an nginx that is configured like that. */
export async function examine(
  gateway: TestGateway,
  { spoil, server = '', location = '', argv = () => [] }: Plant,
): Promise<CommandRun> {
  const echo = `127.0.0.1:${await freePort()}`;
  await using nginx = await startNginx({
    gateway: `127.0.0.1:${gateway.port}`,
    ...(spoil === undefined ? {} : { spoil }),
    servers: (port) =>
      protectedServer({ port, application: `http://${echo}`, location }).replace(
        /\}\s*$/,
        `${server.replaceAll('${application}', `http://${echo}`)}\n}`,
      ),
  });
  return await run(
    [
      `--through=http://app.example.test:${nginx.port}/spaces`,
      `--connect=127.0.0.1:${nginx.port}`,
      `--echo=${echo}`,
      '--user=alice',
      ...argv({ echo }),
    ],
    gateway.passwords.get('staff:alice'),
  );
}

/** Lines that begin with an outcome. */
export const lineOf = (out: string, word: string): readonly string[] =>
  out.split('\n').filter((line) => line.startsWith(word));

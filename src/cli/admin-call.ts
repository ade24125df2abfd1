/** Asks the running gateway to do something, over its admin socket. */
import { request } from 'node:http';
import { join } from 'node:path';
import { ConfigInvalidError, loadConfig } from '../config/load.ts';
import { adminSocketName } from '../gateway/operators/admin-commands.ts';
import type { CommandIo } from './command-io.ts';
import { exitInvalid } from './usage-mistake.ts';

/** EX_UNAVAILABLE of sysexits.h: the gateway does not run, or did not do it. */
export const exitUnavailable = 69;
const usualDeadlineMs = 10_000;

export type AdminAnswer =
  | { readonly kind: 'done'; readonly value: unknown }
  /** Told on standard error already. */
  | { readonly kind: 'failed'; readonly exitCode: number };

/** `file` names the configuration, whose `state.directory` holds the socket. */
export async function callAdmin(
  command: string,
  parameters: Readonly<Record<string, string>>,
  file: string | undefined,
  io: CommandIo,
  deadlineMs = usualDeadlineMs,
): Promise<AdminAnswer> {
  const failed = (exitCode: number, problem: string): AdminAnswer => {
    io.stderr.write(`vratar ${command.replaceAll('/', ' ')}: ${problem}\n`);
    return { kind: 'failed', exitCode };
  };
  const path = file ?? io.env['VRATAR_CONFIG'];
  if (path === undefined || path === '')
    return failed(exitInvalid, 'no configuration; give --config FILE or set VRATAR_CONFIG');
  const socketPath = socketOf(path, io);
  if (socketPath === undefined) return failed(exitInvalid, `${path} is not valid: try vratar check`);
  try {
    const { status, value } = await post(
      socketPath,
      command,
      new URLSearchParams(parameters).toString(),
      deadlineMs,
    );
    if (status === 200) return { kind: 'done', value };
    return failed(exitUnavailable, (value as { error?: string }).error ?? `answered ${status}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    switch (code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return failed(exitUnavailable, `the gateway does not run: nobody listens on ${socketPath}`);
      case 'EACCES':
        return failed(exitUnavailable, `${socketPath} belongs to another account; run this as the gateway's`);
      case 'ABORT_ERR':
      case 'ECONNRESET':
        return failed(exitUnavailable, 'the gateway did not answer; it may have done it all the same');
      default:
        throw error;
    }
  }
}

function socketOf(file: string, io: CommandIo): string | undefined {
  try {
    return join(loadConfig(file, { env: io.env }).config.state.directory, adminSocketName);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    return undefined;
  }
}

async function post(
  socketPath: string,
  command: string,
  query: string,
  deadlineMs: number,
): Promise<{ status: number; value: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; value: unknown }>();
  const path = `/${command}${query === '' ? '' : `?${query}`}`;
  const sent = request(
    { socketPath, path, method: 'POST', agent: false, signal: AbortSignal.timeout(deadlineMs) },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, value: JSON.parse(text) as unknown });
      });
    },
  );
  sent.once('error', reject);
  sent.end();
  return await promise;
}

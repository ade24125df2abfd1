/** A server program in the foreground: started, waited for, and ended with the test that needed it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Receives what the program prints. */
  readonly logFile: string;
  /** Accepts connections there once it is ready. */
  readonly host: string;
  readonly port: number;
}

export interface Daemon extends AsyncDisposable {
  /** Resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

const startTimeoutMs = 30_000;

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { command, args, logFile, host, port } = options;
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
  });
  closeSync(log);
  // A test process that ends early must not leave a server behind.
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const deadline = Date.now() + startTimeoutMs;
  while (!(await accepts(host, port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${command} did not start: ${(await readFile(logFile, 'utf8')).slice(-2_000)}`);
    }
    await delay(20);
  }
  return {
    end: async (signal) => await end(child, signal),
    [Symbol.asyncDispose]: async () => {
      process.off('exit', killAtExit);
      await end(child, 'SIGKILL');
    },
  };
}

/** Runs a tool to its end and answers what it printed; fails with what it complained of. */
export async function runTool(
  command: string,
  args: readonly string[],
  { input = '', env = {} }: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  return await new Promise<string>((resolve, reject) => {
    const options = { timeout: 120_000, env: { ...process.env, ...env } };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} failed: ${stdout}${stderr}`, { cause: error }));
    });
    // A tool that ends before it has read everything says why itself.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ port, host });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A server program in the foreground: started, waited for, and ended with the test that needed it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** All of it. Omitted: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Receives what the program prints. */
  readonly logFile: string;
  /** Accepts connections there once it is ready. */
  readonly host: string;
  readonly port: number;
}

/** Disposing of it kills. */
export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

const startTimeoutMs = 30_000;

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { command, args, env, logFile, host, port } = options;
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    ...(env === undefined ? {} : { env }),
  });
  closeSync(log);
  // A test process that ends early must leave nothing behind: neither a server nor the processes that only the server
  // can end, nor one that was stopped.
  const endAtExit = (): void => {
    child.kill('SIGTERM');
    child.kill('SIGCONT');
  };
  process.once('exit', endAtExit);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    process.off('exit', endAtExit);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const isReady = await accepts(host, port);
    // Whoever accepts may be somebody else, who took the port first.
    if (child.exitCode !== null || Date.now() > deadline) {
      await end('SIGKILL');
      throw new Error(`${command} did not start: ${(await readFile(logFile, 'utf8')).slice(-2_000)}`);
    }
    if (isReady) break;
    await delay(20);
  }
  return {
    pid: child.pid as number,
    signal: (signal) => void child.kill(signal),
    end,
    [Symbol.asyncDispose]: async () => await end('SIGKILL'),
  };
}

/** A free port may be taken by somebody else before the server binds it: `launch` tries again with another. */
export async function startSomewhere<Started>(launch: () => Promise<Started>): Promise<Started> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
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

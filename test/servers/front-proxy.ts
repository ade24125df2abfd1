/**
 * What every real front proxy of the tests has in common: a process on a free loopback port in a temporary folder that
 * runs as root and as an ordinary user, and leaves nothing behind. What stands in its configuration is not known here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '#test/support/free-port.ts';
import { until } from '#test/support/until.ts';

export interface FrontProxy extends AsyncDisposable {
  readonly port: number;
  /** What the proxy complained about so far. */
  errorLog(): Promise<string>;
}

export interface FrontProxyProcess extends FrontProxy {
  /** Of the process that was started; it may have children. */
  readonly pid: number;
}

/** An application behind a front proxy that asks the gateway first. */
export interface ProtectedSite {
  /** `127.0.0.1:4711`. */
  readonly gateway: string;
  /** `127.0.0.1:4712`. */
  readonly application: string;
}

export interface FrontProxyProgram {
  readonly program: string;
  readonly debianPackage: string;
  /** Writes the configuration and answers the arguments to start with. The log goes to `folder`/error.log. */
  readonly prepare: (folder: string, port: number) => Promise<readonly string[]>;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Resolves when the proxy accepts connections. Throws with its own words when it refuses the configuration. */
export async function startFrontProxy(options: FrontProxyProgram): Promise<FrontProxyProcess> {
  const folder = await mkdtemp(join(tmpdir(), `vratar-${options.program}-`));
  try {
    // Between choosing a port and listening on it another process may take it.
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const output: string[] = [];
      const child = await launch(options, folder, port, output);
      if (child.exitCode === null) return running(child, folder, port, output);
      const said = await complaints(folder, output);
      if (attempt === 5 || !/address already in use/i.test(said))
        throw new Error(`${options.program} ended: ${said}`);
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function launch(
  { program, debianPackage, prepare, environment = {} }: FrontProxyProgram,
  folder: string,
  port: number,
  output: string[],
): Promise<ChildProcess> {
  const args = await prepare(folder, port);
  const child = spawn(findProgram(program, debianPackage), [...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Caddy keeps files under HOME; no process of a test may touch those of the person who runs it.
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      XDG_DATA_HOME: folder,
      XDG_CONFIG_HOME: folder,
      ...environment,
    },
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
  await once(child, 'spawn');
  await until(async () => child.exitCode !== null || (await accepts(port)), {
    timeoutMs: 10_000,
    what: `${program} listening`,
  });
  return child;
}

function findProgram(program: string, debianPackage: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
  if (found === undefined)
    throw new Error(`${debianPackage} is not installed: run node deploy/setup.mjs test`);
  return found;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  return isOpen;
}

async function complaints(folder: string, output: readonly string[]): Promise<string> {
  const log = join(folder, 'error.log');
  return output.join('') + (existsSync(log) ? await readFile(log, 'utf8') : '');
}

function running(
  child: ChildProcess,
  folder: string,
  port: number,
  output: readonly string[],
): FrontProxyProcess {
  // A test process that ends without disposing must not leave a server behind.
  const killOnExit = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killOnExit);
  return {
    port,
    pid: child.pid as number,
    errorLog: async () => await complaints(folder, output),
    async [Symbol.asyncDispose]() {
      process.removeListener('exit', killOnExit);
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

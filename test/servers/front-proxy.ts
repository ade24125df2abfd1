/**
 * What every real front proxy of the tests has in common: a process on a free loopback port in a temporary folder that
 * runs as root and as an ordinary user, and leaves nothing behind. What stands in its configuration is not known here.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '#test/support/free-port.ts';
import { startDaemon, startSomewhere } from './daemon.ts';

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
  /** Beside what every front proxy gets. */
  readonly environment?: ((folder: string) => Readonly<Record<string, string>>) | undefined;
}

/** Resolves when the proxy accepts connections. Throws with its own words when it refuses the configuration. */
export async function startFrontProxy(options: FrontProxyProgram): Promise<FrontProxyProcess> {
  const { program, debianPackage, prepare, environment } = options;
  const command = findProgram(program, debianPackage);
  const folder = await mkdtemp(join(tmpdir(), `vratar-${program}-`));
  // Caddy keeps files under HOME; no process of a test may touch those of the person who runs it.
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    XDG_DATA_HOME: folder,
    XDG_CONFIG_HOME: folder,
    ...environment?.(folder),
  };
  try {
    const { daemon, port } = await startSomewhere(async () => {
      for (const file of logsIn(folder)) await rm(file, { force: true });
      const port = await freePort();
      const args = await prepare(folder, port);
      const [logFile] = logsIn(folder);
      try {
        return { port, daemon: await startDaemon({ command, args, env, logFile, host: '127.0.0.1', port }) };
      } catch (error) {
        throw new Error(`${program} ended: ${await complaints(folder)}`, { cause: error });
      }
    });
    return {
      port,
      pid: daemon.pid,
      errorLog: async () => await complaints(folder),
      async [Symbol.asyncDispose]() {
        await daemon.end('SIGTERM');
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function findProgram(program: string, debianPackage: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
  if (found === undefined)
    throw new Error(`${debianPackage} is not installed: run node deploy/setup.mjs test`);
  return found;
}

/** What the program prints, and the log that its configuration names. */
function logsIn(folder: string): readonly [printed: string, log: string] {
  return [join(folder, 'output'), join(folder, 'error.log')];
}

async function complaints(folder: string): Promise<string> {
  const files = logsIn(folder).filter((file) => existsSync(file));
  return (await Promise.all(files.map(async (file) => await readFile(file, 'utf8')))).join('');
}

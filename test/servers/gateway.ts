/** The gateway for tests: composed in this process over real sockets, or as the real processes of `vratar serve`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { composeWorker, type WorkerReport } from '#src/compose.ts';
import { composeHub, composeKeyRing } from '#src/compose-primary.ts';
import { loadConfig } from '#src/config/load.ts';
import { type Clock, systemClock } from '#src/lib/clock.ts';
import { createLogger } from '#src/observability/logger.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { generatePasswords } from '#src/providers/local/generated-passwords.ts';
import { createChannelPair } from '#src/state/channel.ts';
import { until } from '#test/support/until.ts';

export type LogLine = Record<string, unknown> & { readonly event: string };

export interface TestGateway extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Lines so far, oldest first. */
  readonly logs: readonly LogLine[];
  /** Raw text of the log. */
  readonly logText: string;
  /** Passwords generated for local accounts without one, by `provider:username`. */
  readonly passwords: ReadonlyMap<string, string>;
  report(): Promise<WorkerReport>;
  /** Prometheus text. */
  metrics(): Promise<string>;
}

export interface GatewaySetup {
  /** Everything but listeners and state, which are filled in. */
  readonly config: Record<string, unknown> & { readonly server?: Record<string, unknown> };
  readonly clock?: Clock;
}

/** Hub and worker in this process, on a free port. */
export async function startGateway({ config, clock = systemClock }: GatewaySetup): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-test-'));
  const file = writeConfig(folder, config);
  const loaded = loadConfig(file, { env: {} });
  const lines: string[] = [];
  const logger = createLogger({ level: 'debug', sink: { write: (line) => void lines.push(line) } });
  const metrics = new Metrics();
  const hub = composeHub(loaded.config, { logger, metrics, clock });
  const [primaryEnd, workerEnd] = createChannelPair();
  hub.attach(primaryEnd);
  const keys = composeKeyRing(loaded.config, { logger, metrics, clock });
  const generated = await generatePasswords(loaded.config.providers);
  const worker = await composeWorker({
    config: loaded.config,
    channel: workerEnd,
    generatedHashes: generated.hashes,
    keyRing: keys.ring,
    logger,
    metrics,
    clock,
  });
  if (worker.address.kind !== 'tcp') throw new Error('the test gateway listens on TCP');
  const { port } = worker.address;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    get logs() {
      return lines.map((line) => JSON.parse(line) as LogLine);
    },
    get logText() {
      return lines.join('');
    },
    passwords: generated.passwords,
    report: async () => await worker.report(),
    metrics: async () => (await metrics.expose()).body,
    [Symbol.asyncDispose]: async () => {
      await worker[Symbol.asyncDispose]();
      hub[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface GatewayProcess extends AsyncDisposable {
  readonly port: number;
  readonly managementPort: number;
  readonly child: ChildProcess;
  readonly logs: readonly LogLine[];
  /** Standard error so far. */
  readonly errors: string;
  /** Password that was generated for a local account without one, read from the terminal as a person would. */
  passwordOf(username: string): Promise<string>;
  /** Writes another configuration where the gateway reads it. */
  configure(config: GatewaySetup['config']): void;
  /** Sends a signal to the primary and answers its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * `vratar serve` as people run it. `folder` keeps state over restarts; omitted: a fresh one, removed at the end.
 * `within`: a command that runs it, for example one that lowers a limit first.
 */
export async function startGatewayProcess(
  config: GatewaySetup['config'],
  folder?: string,
  within: readonly string[] = [],
): Promise<GatewayProcess> {
  const own = folder ?? mkdtempSync(join(tmpdir(), 'vratar-test-'));
  const file = writeConfig(own, config);
  const launcher = fileURLToPath(new URL('../../src/launcher.mjs', import.meta.url));
  const serve = [process.execPath, launcher, 'serve', '--config', file];
  const [command = process.execPath, ...args] = within.concat(serve);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const logs: LogLine[] = [];
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const ready = Promise.withResolvers<LogLine>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as LogLine;
    logs.push(line);
    if (line.event === 'ready') ready.resolve(line);
  });
  exited.then(
    (code) => ready.reject(new Error(`vratar serve ended with ${code}: ${errors}`)),
    (error: unknown) => ready.reject(error as Error),
  );
  const line = await ready.promise;
  const portOf = (address: unknown): number => Number(String(address).split(':').pop());
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    return await exited;
  };
  return {
    port: portOf(line['address']),
    managementPort: portOf(line['management']),
    child,
    logs,
    get errors() {
      return errors;
    },
    passwordOf: async (username) =>
      await until(() => new RegExp(`account +${username}\\n +password +(\\S+)`).exec(errors)?.[1], {
        what: `a password for ${username} on the terminal`,
      }),
    configure: (changed) => void writeConfig(own, changed),
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop('SIGKILL');
      if (folder === undefined) rmSync(own, { recursive: true, force: true });
    },
  };
}

function writeConfig(folder: string, config: GatewaySetup['config']): string {
  const file = join(folder, 'vratar.yaml');
  const { server = {}, ...rest } = config;
  const { limits, ...listeners } = server;
  const whole = {
    management: { listen: '127.0.0.1:0' },
    state: { directory: join(folder, 'data') },
    ...rest,
    server: {
      listen: '127.0.0.1:0',
      publicUrl: 'http://127.0.0.1',
      trustedProxies: ['127.0.0.1/32'],
      // Other test files and the tests themselves hold the event loop up, not requests.
      limits: { eventLoopDelay: 'off', ...(limits as object | undefined) },
      ...listeners,
    },
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(whole, undefined, 1));
  return file;
}

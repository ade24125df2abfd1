/** `vratar serve`: the primary process. Owns state, workers and the management listener; serves no public traffic. */
import { join } from 'node:path';
import { composeHub, composeKeyRing, keyRingPath } from '../compose-primary.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { DirectorySelfCheck } from '../directory/self-check.ts';
import { GatewayError } from '../errors.ts';
import {
  type AdminCommand,
  adminSocketName,
  createAdminHandler,
} from '../gateway/operators/admin-commands.ts';
import { createManagementHandler } from '../gateway/operators/management.ts';
import { createSessionCommands } from '../gateway/operators/session-commands.ts';
import { removeRemnant } from '../http/bind.ts';
import { type Listener, listen } from '../http/listener.ts';
import type { ListenAddress } from '../http/options.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { FileWatch } from '../lib/file-watch.ts';
import { createLogger, createStdoutSink, type Logger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { readinessOf } from '../processes/readiness.ts';
import { WorkerPool } from '../processes/worker-pool.ts';
import { generatePasswords } from '../providers/local/generated-passwords.ts';
import { isPublished } from '../state/key-ring.ts';
import type { KeyRingFile } from '../state/key-ring-file.ts';
import { version } from '../version.ts';
import { copyState } from './backup-source.ts';
import type { RotationReport } from './keys.ts';
import { generation, Reload, socketsOf } from './reload.ts';
import { exitInvalid, exitUsage, readArguments } from './usage-mistake.ts';

/** A second SIGINT within this time is the first one again. */
const echoMs = 500;
/** A changed configuration is taken over after one or two looks. */
const lookAtFilesEveryMs = 1_000;

export async function serve(argv: readonly string[]): Promise<number> {
  const options = { config: { type: 'string' } } as const;
  const values = readArguments('serve', { args: [...argv], options }, process)?.values;
  if (values === undefined) return exitUsage;
  const path = values.config ?? process.env['VRATAR_CONFIG'];
  if (path === undefined) {
    process.stderr.write(
      'vratar serve: no configuration file; name one with --config FILE or VRATAR_CONFIG\n',
    );
    return exitInvalid;
  }
  const metrics = new Metrics();
  const sink = createStdoutSink({ onDrop: () => metrics.logLinesDropped.inc() });
  const logger = createLogger({ level: 'info', sink });
  try {
    const loaded = loadConfig(path, { env: process.env });
    return await run(loaded, metrics, logger);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'CONFIG_INVALID') throw error;
    process.stderr.write(`${error.message}\n`);
    return exitInvalid;
  } finally {
    sink.flush();
  }
}

async function run(loaded: LoadedConfig, metrics: Metrics, logger: Logger): Promise<number> {
  const startedAt = performance.now();
  const clock = systemClock;
  const { config, warnings, path } = loaded;
  for (const warning of warnings) logger.warn('config.warning', { warning: formatProblem(path, warning) });
  metrics.collectProcessMetrics();
  metrics.buildInfo.set({ version, node: process.versions.node }, 1);
  metrics.configLastReload.set(clock.now() / 1_000);

  using hub = composeHub(config, { logger, metrics, clock });
  const keys = composeKeyRing(config, { logger, metrics, clock });
  const running = { loaded, generated: await generatePasswords(config.providers) };
  const pool = new WorkerPool({ hub, args: ['worker'], clock, logger, metrics });
  const reload = new Reload(running, { pool, hub, keys, metrics, logger, clock, onPasswords: greet });
  await using selfCheck = new DirectorySelfCheck({
    health: async () => (await pool.reports()).flatMap(({ directories }) => directories),
    logger,
    clock,
  });
  const stop = Promise.withResolvers<string>();
  let isDraining = false;
  let drainingSince = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    // A second one means now; but Ctrl-C under npm comes twice, from the terminal and from npm.
    if (isDraining && (signal !== 'SIGINT' || performance.now() - drainingSince > echoMs)) process.exit(1);
    if (!isDraining) drainingSince = performance.now();
    isDraining = true;
    stop.resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', ignore);

  const management = await listen({
    address: config.management.listen,
    handler: createManagementHandler({
      metrics,
      reports: async () => (await pool.reports()).map((report) => report.metrics),
      readiness: async () =>
        readinessOf({
          isDraining,
          isCrashing: pool.isCrashing,
          listening: pool.listening,
          reports: await pool.reports(),
          directoryProblems: selfCheck.problems,
        }),
    }),
  });
  let admin: Listener | undefined;
  const started = Promise.withResolvers<void>();
  // From the first moment on: what changes while the workers start is not missed.
  using _watch = new FileWatch({
    files: () => reload.files,
    everyMs: lookAtFilesEveryMs,
    onChange: async () => {
      await started.promise;
      if (isDraining) return;
      await reload.run();
      selfCheck.restart(reload.config.directories);
    },
  });
  try {
    for (const listenAddress of socketsOf(config)) removeRemnant(listenAddress);
    const address = await pool.start(generation(running, keys));
    admin = await listenForCommands(
      config,
      {
        'keys/rotate': async (parameters) => await rotateKeys(keys, pool, clock, parameters),
        ...createSessionCommands(hub.administration, logger),
        backup: async () =>
          await copyState(
            hub,
            { stateDirectory: config.state.directory, keyFile: keyRingPath(config) },
            clock,
          ),
      },
      logger,
    );
    logger.info('ready', {
      version,
      node: process.versions.node,
      address,
      management: describeAddress(management.address),
      workers: pool.listening,
      startMs: Math.round(performance.now() - startedAt),
    });
    greet(config, running.generated.passwords);
    started.resolve();
    selfCheck.restart(config.directories);
    const signal = await stop.promise;
    logger.info('draining', { signal, drainTimeoutMs: reload.config.server.drainTimeout });
    await pool.drain();
    logger.info('stopped');
    return 0;
  } finally {
    await pool.drain();
    await management.drain(0);
    await admin?.drain(0);
  }
}

/** A gateway that cannot be commanded still serves: the commands say so themselves when they are used. */
async function listenForCommands(
  { state }: Config,
  commands: Readonly<Record<string, AdminCommand>>,
  logger: Logger,
): Promise<Listener | undefined> {
  const path = join(state.directory, adminSocketName);
  try {
    return await listen({
      address: { kind: 'unix', path, mode: 0o600 },
      handler: createAdminHandler(commands, logger),
    });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    // Mostly a state.directory whose path is longer than the 107 bytes a socket may have.
    logger.error('admin.socket-failed', { path, error });
    return undefined;
  }
}

async function rotateKeys(
  keys: KeyRingFile,
  pool: WorkerPool,
  clock: Clock,
  parameters: URLSearchParams,
): Promise<RotationReport> {
  const nowMs = clock.now();
  const ring = keys.rotate(nowMs, { compromised: parameters.get('compromised') === 'true' });
  await pool.useKeys(ring);
  const published = ring.keys.filter((key) => isPublished(key, nowMs)).map(({ kid }) => kid);
  return { signing: published[0] as string, published };
}

/** For whoever sits at the terminal. Passwords go here only, never to the log. */
function greet({ server }: Config, passwords: ReadonlyMap<string, string>): void {
  if (passwords.size === 0) return;
  const accounts = [...passwords].map(
    ([account, password]) =>
      `    account   ${account.slice(account.indexOf(':') + 1)}\n    password  ${password}   (one-time: made for this run)\n\n`,
  );
  process.stderr.write(
    `\n  Vratar is ready: ${server.publicUrl}${server.portalPath}/\n\n${accounts.join('')}`,
  );
}

function describeAddress(address: ListenAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

function ignore(): void {
  // A terminal that closes is no reason to end; reloading needs no signal: the files are watched.
}

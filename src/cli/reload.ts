/**
 * Takes over a changed configuration while the gateway runs: reads it, refuses what is invalid or needs a restart, and
 * otherwise replaces the workers. Whatever goes wrong, the gateway goes on with the configuration it has.
 */
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { hubLimits } from '../compose-primary.ts';
import { ConfigInvalidError, type LoadedConfig, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config, Section } from '../config/schema.ts';
import { packConfig } from '../config/transfer.ts';
import { GatewayError } from '../errors.ts';
import { removeRemnant } from '../http/bind.ts';
import type { ListenAddress } from '../http/options.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { GenerationOptions, WorkerPool } from '../processes/worker-pool.ts';
import { type GeneratedPasswords, generatePasswords } from '../providers/local/generated-passwords.ts';
import type { Hub } from '../state/hub.ts';
import type { KeyRingFile } from '../state/key-ring-file.ts';
import { workerEnvironment } from './worker-threads.ts';

/** What the primary process opened at its start and holds until its end. */
const fixedSections: readonly Section[] = ['management', 'state', 'keys'];

export interface RunningConfig {
  readonly loaded: LoadedConfig;
  readonly generated: GeneratedPasswords;
}

export interface ReloadOptions {
  readonly pool: WorkerPool;
  readonly hub: Hub;
  readonly keys: KeyRingFile;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Told of the passwords that were generated for accounts that are new. */
  readonly onPasswords: (config: Config, passwords: ReadonlyMap<string, string>) => void;
}

export class Reload {
  readonly #options: ReloadOptions;
  #running: RunningConfig;

  constructor(running: RunningConfig, options: ReloadOptions) {
    this.#running = running;
    this.#options = options;
  }

  get config(): Config {
    return this.#running.loaded.config;
  }

  /** Files whose change means a changed configuration. */
  get files(): readonly string[] {
    return this.#running.loaded.files;
  }

  /** Never throws what is wrong with the configuration: that is logged and counted. */
  async run(): Promise<void> {
    const { metrics, logger, clock } = this.#options;
    try {
      await this.#take(loadConfig(this.#running.loaded.path, { env: process.env }));
      metrics.configReloads.inc({ result: 'success' });
      metrics.configLastReload.set(clock.now() / 1_000);
      logger.audit('config.reloaded', { workers: this.#options.pool.listening });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      metrics.configReloads.inc({ result: 'refused' });
      const problems = error instanceof ConfigInvalidError ? error.message.split('\n') : [error.message];
      logger.audit('config.refused', { problems, explanation: 'the previous configuration stays' });
    }
  }

  async #take(loaded: LoadedConfig): Promise<void> {
    const { pool, hub, logger, onPasswords } = this.#options;
    const { path, warnings, config } = loaded;
    const fixed = fixedSections.filter(
      (section) => !isDeepStrictEqual(config[section], this.config[section]),
    );
    if (fixed.length > 0) {
      throw new ConfigInvalidError(
        path,
        fixed.map((section) =>
          loaded.locate({ path: [section], message: 'cannot change while the gateway runs: restart it' }),
        ),
        [],
      );
    }
    for (const warning of warnings) logger.warn('config.warning', { warning: formatProblem(path, warning) });
    const generated = await generatePasswords(config.providers, this.#running.generated);
    for (const address of socketsOf(config)) {
      if (!socketsOf(this.config).some((present) => isDeepStrictEqual(present, address)))
        removeRemnant(address);
    }
    await pool.replace(generation({ loaded, generated }, this.#options.keys));
    const known = this.#running.generated.passwords;
    this.#running = { loaded, generated };
    hub.limit(hubLimits(config));
    onPasswords(config, new Map([...generated.passwords].filter(([account]) => !known.has(account))));
  }
}

/** Addresses of listeners that workers share. */
export function socketsOf({ server }: Config): readonly ListenAddress[] {
  const further = [server.grpc?.listen, server.redirect?.listen];
  return [server.listen, ...further.filter((address) => address !== undefined)];
}

/** The workers that serve a configuration. */
export function generation(
  { loaded: { config }, generated }: RunningConfig,
  keys: KeyRingFile,
): GenerationOptions {
  return {
    settings: () => ({
      config: packConfig(config),
      generatedHashes: generated.hashes,
      keyRing: keys.ring,
    }),
    environment: workerEnvironment(config),
    count: config.server.workers === 'auto' ? availableParallelism() : config.server.workers,
    drainTimeoutMs: config.server.drainTimeout,
  };
}

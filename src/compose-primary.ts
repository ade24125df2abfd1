/** The composition root of the primary: the shared state of all workers, without anything that only workers need. */
import { join } from 'node:path';
import type { Config } from './config/schema.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics } from './observability/metrics.ts';
import type { AttemptLimits } from './state/attempt-counters.ts';
import { createHub, type Hub, type HubLimits } from './state/hub.ts';
import { type KeyRingFile, openKeyRingFile } from './state/key-ring-file.ts';

export interface Surroundings {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** The shared state of all workers. Throws GatewayError CONFIG_INVALID when it cannot be opened. */
export function composeHub(config: Config, { logger, metrics, clock = systemClock }: Surroundings): Hub {
  return createHub({
    directory: config.state.directory,
    ...hubLimits(config),
    clock,
    logger,
    metrics,
  });
}

/** The keys of identity assertions, made at the first start. Throws GatewayError CONFIG_INVALID when they cannot be read. */
export function composeKeyRing(
  { keys, state }: Config,
  { logger, clock = systemClock }: Surroundings,
): KeyRingFile {
  const file = keyRingPath({ keys, state });
  const ring = openKeyRingFile(file, clock.now());
  if (ring.isExposed) logger.warn('keys.exposed', { file });
  return ring;
}

/** Where the keys of identity assertions are kept. */
export function keyRingPath({ keys, state }: Pick<Config, 'keys' | 'state'>): string {
  return keys.file ?? join(state.directory, 'keys.json');
}

/** What of the shared state a changed configuration changes while it runs. */
export function hubLimits(config: Config): HubLimits {
  return { attemptLimits: attemptLimits(config), idleTimeoutMs: config.session.idleTimeout };
}

function attemptLimits({ throttle }: Config): AttemptLimits {
  const { account, address } = throttle;
  return {
    account: { failures: account.failures, windowMs: account.window, lockForMs: account.lockFor },
    address: { failures: address.failures, windowMs: address.window, lockForMs: address.lockFor },
  };
}

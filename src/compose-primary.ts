/** The composition root of the primary: the shared state of all workers, without anything that only workers need. */
import type { Config } from './config/schema.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics } from './observability/metrics.ts';
import type { AttemptLimits } from './state/attempt-counters.ts';
import { createHub, type Hub } from './state/hub.ts';

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
    attemptLimits: attemptLimits(config),
    idleTimeoutMs: config.session.idleTimeout,
    clock,
    logger,
    metrics,
  });
}

function attemptLimits({ throttle }: Config): AttemptLimits {
  const { account, address } = throttle;
  return {
    account: { failures: account.failures, windowMs: account.window, lockForMs: account.lockFor },
    address: { failures: address.failures, windowMs: address.window, lockForMs: address.lockFor },
  };
}

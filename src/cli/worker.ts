/** `vratar worker`: started by `serve`, never by hand. Serves the public listener until the primary says drain. */
import { composeWorker } from '../compose.ts';
import { unpackConfig } from '../config/transfer.ts';
import { GatewayError } from '../errors.ts';
import { systemClock } from '../lib/clock.ts';
import { createLogger, createStdoutSink, type Logger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { type PrimaryCalls, primaryCalls, type WorkerCalls, workerCalls } from '../processes/messages.ts';
import { boundHeapGrowth } from '../session/heap-growth.ts';
import { answerCalls, Caller } from '../state/calls.ts';
import { createProcessChannel, type ProcessEndpoint } from '../state/channel.ts';

const exitConfig = 78;
const settingsDeadlineMs = 10_000;

export async function worker(): Promise<number> {
  if (process.send === undefined) {
    process.stderr.write('vratar worker: started by "vratar serve" only\n');
    return exitConfig;
  }
  // Signals of a terminal reach the whole group; the primary decides what they mean.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leaveToPrimary);

  using _growth = boundHeapGrowth();
  const metrics = new Metrics();
  metrics.collectProcessMetrics();
  const sink = createStdoutSink({ onDrop: () => metrics.logLinesDropped.inc() });
  const logger = createLogger({ level: 'info', sink });
  const channel = createProcessChannel(process as ProcessEndpoint);
  const primary = new Caller<PrimaryCalls>(channel, primaryCalls, {
    clock: systemClock,
    deadlineMs: settingsDeadlineMs,
    toError: (reason) => new GatewayError('SESSION_STORE_UNAVAILABLE', `the primary process ${reason}`),
  });
  const { config: packed, generatedHashes, keyRing } = await primary.call('settings');
  const config = unpackConfig(packed);
  const gateway = await composeWorker({ config, channel, generatedHashes, keyRing, logger, metrics });

  const drained = Promise.withResolvers<void>();
  answerCalls<WorkerCalls>(
    channel,
    workerCalls,
    {
      report: async () => await gateway.report(),
      useKeys: async (ring) => await Promise.resolve(gateway.useKeys(ring)),
      drain: async (timeoutMs, idleMs) => {
        gateway.drain(timeoutMs, idleMs).then(drained.resolve, drained.reject);
        await Promise.resolve();
      },
    },
    { onDefect: (method, error) => logger.error('worker.call-failed', { method, error }) },
  );
  // Without a primary there is no state: nothing could be decided any more.
  channel.onClose(() => drained.resolve());
  await primary.call(
    'listening',
    gateway.address.kind === 'unix'
      ? gateway.address.path
      : `${gateway.address.host}:${gateway.address.port}`,
  );

  await drained.promise;
  if (process.connected) await sayFarewell(primary, metrics, logger);
  await gateway[Symbol.asyncDispose]();
  sink.flush();
  process.disconnect();
  return 0;
}

/** What is not told in time is missing in the sums, nothing worse. */
async function sayFarewell(primary: Caller<PrimaryCalls>, metrics: Metrics, logger: Logger): Promise<void> {
  try {
    await primary.call('farewell', await metrics.report());
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    logger.warn('worker.farewell-failed', { error });
  }
}

function leaveToPrimary(): void {
  // The primary drains its workers one message later.
}

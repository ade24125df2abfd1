/** A child process that owns the shared state, as the primary does: `node hub-process.ts DIRECTORY`. */
import { systemClock } from '#src/lib/clock.ts';
import { createLogger } from '#src/observability/logger.ts';
import { createProcessChannel } from '#src/state/channel.ts';
import { createHub } from '#src/state/hub.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { contractIdleTimeoutMs } from '#test/contract/session-store-contract.ts';
import { prefixChannel } from '#test/state/prefixed-channel.ts';

const hub = createHub({
  directory: process.argv[2] ?? ':memory:',
  clock: systemClock,
  logger: createLogger({ level: 'error', sink: process.stderr }),
  idleTimeoutMs: contractIdleTimeoutMs,
  attemptLimits: contractLimits,
});
const channel = createProcessChannel(process);
for (const client of ['first', 'second']) hub.attach(prefixChannel(channel, client));
process.once('disconnect', () => hub[Symbol.dispose]());

/** Revokes one session and marks the moment in its system calls: `node revoke-once.ts DIRECTORY`. */
import { writeSync } from 'node:fs';
import { systemClock } from '#src/lib/clock.ts';
import { createLogger } from '#src/observability/logger.ts';
import { createHub } from '#src/state/hub.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { storedSession } from '#test/contract/session-store-contract.ts';

using hub = createHub({
  directory: process.argv[2] ?? ':memory:',
  clock: systemClock,
  logger: createLogger({ level: 'error', sink: process.stderr }),
  idleTimeoutMs: 600_000,
  attemptLimits: contractLimits,
});
const session = storedSession(Date.now());
await hub.sessions.save(session);
writeSync(1, 'before-revoke\n');
await hub.sessions.revoke(session.key);
writeSync(1, 'after-revoke\n');

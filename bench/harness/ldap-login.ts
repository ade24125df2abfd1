/** The measured side of bench/ldap.ts: sign-ins through a real directory, in a process of their own. */
import { createInterface } from 'node:readline';
import { createDirectory } from '#src/directory/ldap-directory.ts';
import { directoryOptions } from '#src/directory/options.ts';
import { GroupTable } from '#src/identity/group.ts';
import { systemClock } from '#src/lib/clock.ts';
import { Secret } from '#src/lib/secret.ts';
import { createLogger } from '#src/observability/logger.ts';
import { Metrics } from '#src/observability/metrics.ts';

const [url, callers = '8', people = '1000', bindDn, bindPassword, usersBaseDn, groupsBaseDn] =
  process.argv.slice(2);

const directory = createDirectory(
  directoryOptions.parse({
    name: 'bench',
    kind: 'openLdap',
    servers: [url],
    bind: { dn: bindDn, password: bindPassword },
    users: { baseDn: usersBaseDn },
    groups: { baseDn: groupsBaseDn },
    pool: { connections: 8 },
  }),
  {
    logger: createLogger({ level: 'info', sink: process.stderr }),
    metrics: new Metrics(),
    clock: systemClock,
    groupTable: new GroupTable(),
  },
);
const admit = async (): Promise<void> => {};
let next = 0;

async function signIns(until: number): Promise<number> {
  let done = 0;
  while (performance.now() < until) {
    const number = String(next++ % Number(people)).padStart(6, '0');
    // As a request does: every sign-in has a signal of its own.
    const { signal } = new AbortController();
    const outcome = await directory.verify(`u${number}`, new Secret(`password-${number}`), { signal, admit });
    if (outcome.kind !== 'verified') throw new Error(`u${number}: ${outcome.reason}`);
    done++;
  }
  return done;
}

for await (const line of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  const until = performance.now() + Number(line) * 1_000;
  const counts = await Promise.all(Array.from({ length: Number(callers) }, async () => await signIns(until)));
  const logins = counts.reduce((sum, count) => sum + count, 0);
  const used = process.cpuUsage(before);
  console.log(JSON.stringify({ logins, cpuUs: (used.user + used.system) / logins }));
}
await directory[Symbol.asyncDispose]();

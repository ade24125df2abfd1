/**
 * What people notice when directory servers fail: 200 sign-ins per second through the whole gateway over two slapd
 * servers, of which one is killed, one is stopped, and then both are gone; the connections they see; and what the groups
 * of a person in 200 nested groups of Active Directory cost.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { openDirectory } from '#test/directory/directories.ts';
import { accounts } from '#test/servers/accounts.ts';
import { kindsUnderTest } from '#test/servers/directory-kinds.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { directoryConfig, type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { ManualClock } from '#test/support/clock.ts';
import { ask, csrfOf, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { median, printConditions, report } from './harness/report.ts';
import { establishedOn, leftOn } from './harness/server-sockets.ts';

const perSecond = 200;
const durationMs = 10_000;
const harmAfterMs = 2_000;
const healAfterMs = 6_000;
const slowestLimitMs = 2_000;
const refusedLimitMs = 50;
const people = 500;
const verificationConnections = 8;
/** And two for searches. */
const connectionLimit = verificationConnections + 2;

/** Browsers keep their connections; so do these. */
const agent = new Agent({ keepAlive: true });

interface Form {
  readonly csrf: string;
  readonly cookie: string;
}

interface Load {
  readonly sent: number;
  readonly byStatus: ReadonlyMap<number, number>;
  readonly slowestMs: number;
  readonly medianMs: number;
}

export async function run(): Promise<boolean> {
  const isMet = [await runOutages(), await runGroups()];
  return isMet.every(Boolean);
}

async function runOutages(): Promise<boolean> {
  const bulk = { people, teams: 20 };
  await using first = await startSlapd({ bulk, statsLog: false });
  await using second = await startSlapd({ bulk, statsLog: false });
  await using gateway = await startGatewayProcess({
    server: { workers: 1 },
    directories: [
      directoryConfig([first.url, second.url], { pool: { connections: verificationConnections } }),
    ],
    providers: [{ name: 'corp', type: 'ldap', directory: 'corp' }],
    throttle: { address: { failures: 100_000 }, account: { failures: 1_000 } },
  });
  const form = await openForm(gateway);
  await using watch = watchConnections([first, second], gateway.child.pid);
  await signIns(gateway, form, 2_000);
  const results = [
    await whileFirstFails('killed (kill -9)', gateway, form, {
      harm: async () => await watch.kill(first),
      heal: async () => await watch.restart(first),
    }),
    await whileFirstFails('stopped (SIGSTOP)', gateway, form, {
      harm: async () => first.stop(),
      heal: async () => first.cont(),
    }),
    await whileBothAreDown(gateway, form, [first, second], watch),
  ];
  await Promise.all([watch.restart(first), watch.restart(second)]);
  await until(async () => (await signIn(gateway, form, 0)).status === 303, {
    timeoutMs: 40_000,
    what: 'a sign-in after both came back',
  });
  await signIns(gateway, form, 2_000);
  results.push(
    report({
      name: 'connections a server saw at once, the most',
      value: watch.most,
      limit: connectionLimit,
      unit: 'connections',
      detail: `pool.connections ${verificationConnections} and two for searches; ${watch.samples} looks at the kernel's list`,
    }),
  );
  agent.destroy();
  await gateway.stop();
  const left = (): number => leftOn([first.port, second.port]);
  await until(() => left() === 0, { timeoutMs: 2_000 }).catch(() => undefined);
  results.push(
    report({
      name: 'connections left two seconds after the gateway ended',
      value: left(),
      limit: 0,
      unit: 'connections',
      detail: "of both servers, in the kernel's list",
    }),
  );
  return results.every(Boolean);
}

async function whileFirstFails(
  what: string,
  gateway: GatewayProcess,
  form: Form,
  fault: { harm: () => Promise<void>; heal: () => Promise<void> },
): Promise<boolean> {
  const load = signIns(gateway, form, durationMs);
  await delay(harmAfterMs);
  await fault.harm();
  await delay(healAfterMs - harmAfterMs);
  await fault.heal();
  const { sent, byStatus, slowestMs } = await load;
  const detail = `${sent} sign-ins in ${durationMs / 1_000} s, ${describe(byStatus)}; slowest ${slowestMs.toFixed(0)} ms`;
  const isMet = [
    report({
      name: `sign-ins that failed while the first of two servers was ${what}`,
      value: sent - (byStatus.get(303) ?? 0),
      limit: 0,
      unit: 'sign-ins',
      detail,
    }),
    report({
      name: 'the slowest of them',
      value: slowestMs,
      limit: slowestLimitMs,
      unit: 'ms',
      detail: `healed after ${(healAfterMs - harmAfterMs) / 1_000} s`,
    }),
  ];
  // The next fault meets a gateway that uses the first server again.
  await breakersAre(gateway, 0);
  return isMet.every(Boolean);
}

async function whileBothAreDown(
  gateway: GatewayProcess,
  form: Form,
  servers: readonly Slapd[],
  watch: ConnectionWatch,
): Promise<boolean> {
  const transition = signIns(gateway, form, 4_000);
  await delay(1_000);
  await Promise.all(servers.map(async (server) => await watch.kill(server)));
  const during = await transition;
  await breakersAre(gateway, servers.length);
  const after = await signIns(gateway, form, 3_000);
  const wrong = (during.byStatus.get(401) ?? 0) + (after.byStatus.get(401) ?? 0);
  return [
    report({
      name: 'both servers down, breakers open: the slowest refusal',
      value: after.slowestMs,
      limit: refusedLimitMs,
      unit: 'ms',
      detail: `${after.sent} sign-ins, ${describe(after.byStatus)}; median ${after.medianMs.toFixed(1)} ms`,
    }),
    report({
      name: 'the same: answers other than 503',
      value: after.sent - (after.byStatus.get(503) ?? 0),
      limit: 0,
      unit: 'answers',
      detail: `while they went down: ${during.sent} sign-ins, ${describe(during.byStatus)}`,
    }),
    report({
      name: 'the same: refused as a wrong password (401)',
      value: wrong,
      limit: 0,
      unit: 'answers',
      detail: 'before and after the breakers opened',
    }),
  ].every(Boolean);
}

async function openForm(gateway: GatewayProcess): Promise<Form> {
  const visitor = new Visitor(gateway.port);
  const page = await visitor.ask('/_vratar/login', { headers: [['Accept', 'text/html']] });
  return { csrf: csrfOf(page.body), cookie: visitor.cookieHeader };
}

async function signIn(
  gateway: GatewayProcess,
  { csrf, cookie }: Form,
  n: number,
): Promise<{ status: number; tookMs: number }> {
  const number = String(n % people).padStart(6, '0');
  const fields = { csrf, username: `u${number}`, password: `password-${number}` };
  const startedAt = performance.now();
  const sent = request({
    agent,
    host: '127.0.0.1',
    port: gateway.port,
    method: 'POST',
    path: '/_vratar/login',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'text/html', Cookie: cookie },
  });
  sent.end(new URLSearchParams(fields).toString());
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return { status: response.statusCode ?? 0, tookMs: performance.now() - startedAt };
}

/** At a steady rate, whatever becomes of them. */
async function signIns(gateway: GatewayProcess, form: Form, forMs: number): Promise<Load> {
  const byStatus = new Map<number, number>();
  const pending: Promise<void>[] = [];
  const times: number[] = [];
  const begin = performance.now();
  const all = (forMs / 1_000) * perSecond;
  while (pending.length < all) {
    // All that are due, also after a turn of the event loop that took long.
    const due = Math.min(all, Math.ceil(((performance.now() - begin) / 1_000) * perSecond));
    while (pending.length < due) {
      pending.push(
        signIn(gateway, form, pending.length).then(({ status, tookMs }) => {
          byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
          times.push(tookMs);
        }),
      );
    }
    await delay(1_000 / perSecond);
  }
  await Promise.all(pending);
  return { sent: pending.length, byStatus, slowestMs: Math.max(...times), medianMs: median(times) };
}

function describe(byStatus: ReadonlyMap<number, number>): string {
  return [...byStatus].map(([status, count]) => `${count} × ${status}`).join(', ');
}

async function breakersAre(gateway: GatewayProcess, open: number): Promise<void> {
  const what = `${open} open breakers`;
  await until(
    async () => {
      const { body } = await ask({ port: gateway.managementPort, path: '/metrics' });
      const states = [...body.matchAll(/^vratar_directory_breaker_open\{.*\} (\d)$/gm)];
      return states.length > 0 && states.filter(([, state]) => state === '1').length === open;
    },
    { timeoutMs: 40_000, what },
  );
}

/** Looks at servers that run; while one is down its port is anybody's, and its own start connects to it. */
interface ConnectionWatch extends AsyncDisposable {
  readonly most: number;
  readonly samples: number;
  kill(server: Slapd): Promise<void>;
  restart(server: Slapd): Promise<void>;
}

/** The connection with which the primary process checks a server after the start is none of the workers' pools. */
function watchConnections(servers: readonly Slapd[], primary: number | undefined): ConnectionWatch {
  const running = new Set(servers);
  let most = 0;
  let samples = 0;
  const timer = setInterval(() => {
    samples++;
    const ports = [...running].map(({ port }) => port);
    most = Math.max(most, ...establishedOn(ports, primary));
  }, 50);
  return {
    get most() {
      return most;
    },
    get samples() {
      return samples;
    },
    kill: async (server) => {
      running.delete(server);
      await server.kill();
    },
    restart: async (server) => {
      await server.restart();
      running.add(server);
    },
    [Symbol.asyncDispose]: async () => clearInterval(timer),
  };
}

/** Searches for groups alone: the one for the person is made in any case. */
async function runGroups(): Promise<boolean> {
  const kind = kindsUnderTest.find((each) => each.kind === 'activeDirectory');
  if (kind === undefined || kind.whyNot !== undefined) {
    console.log(`left out groups of Active Directory: ${kind?.whyNot ?? 'no server for it'}`);
    return true;
  }
  const deep = accounts.find(({ username }) => username === 'deep');
  if (deep === undefined) throw new Error('the table of accounts has nobody in nested groups');
  await using server = await kind.start();
  const clock = new ManualClock();
  await using corp = openDirectory({ servers: [], clock, options: server.options });
  const measure = async (): Promise<{ searches: number; groups: number }> => {
    // Longer than what requests of one moment share.
    clock.advance(3_000);
    const count = async () => await corp.count('vratar_directory_operations_total', { operation: 'search' });
    const before = await count();
    const outcome = await corp.verify(deep.username, deep.password);
    if (outcome.kind !== 'verified') throw new Error(`${deep.username}: ${outcome.reason}`);
    return { searches: (await count()) - before - 1, groups: outcome.person.groups.length };
  };
  const cold = await measure();
  const warm = await measure();
  return [
    report({
      name: 'groups of a person in 200 nested groups of Active Directory, cold cache',
      value: cold.searches,
      limit: 3,
      unit: 'round trips',
      detail: `${cold.groups} groups, Samba`,
    }),
    report({
      name: 'the same, warm cache',
      value: warm.searches,
      limit: 0,
      unit: 'round trips',
      detail: `${warm.groups} groups`,
    }),
  ].every(Boolean);
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

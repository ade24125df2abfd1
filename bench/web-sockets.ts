/**
 * What open WebSockets cost a worker, each with its two connections, and whether any message is lost while the
 * configuration is replaced under them. Application and browsers are processes of their own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { until } from '#test/support/until.ts';
import { processTree, residentMiB } from './harness/cpu.ts';
import { printConditions, report } from './harness/report.ts';
import type { Order, Side, SideReport } from './harness/web-socket-side.ts';
import { signInAlice } from './harness/wiki-site.ts';

const sockets = 2_000;
const openedDuringReload = 100;
const limitKiB = 30;
const everyMs = 2_000;
/** Beyond the moment at which a worker that is being replaced closes silent connections. */
const talkAfterReloadMs = 13_000;
const settleMs = 3_000;
const host = 'chat.example.test';
const another = { name: 'other', hosts: ['other.example.test'], upstream: 'whoami' };

export async function run(): Promise<boolean> {
  using application = await startSide('application');
  using browsers = await startSide('browsers');
  const { port } = await application.order({ what: 'report' });
  const collector = fileURLToPath(new URL('harness/collect-on-signal.mjs', import.meta.url));
  await using gateway = await startGatewayProcess(configuration(port as number, []), undefined, [
    'env',
    `NODE_OPTIONS=--import=${collector}`,
  ]);
  const worker = processTree(gateway.child.pid as number).at(-1) as number;
  const untouched = await heldMiB(worker);
  const visitor = await signInAlice(gateway);
  const opening = {
    what: 'open',
    url: `ws://127.0.0.1:${gateway.port}/`,
    headers: { Host: host, Origin: `http://${host}`, Cookie: visitor.cookieHeader },
  } as const;
  // Code is compiled and caches are filled once, not per socket.
  await browsers.order({ ...opening, count: openedDuringReload });
  const before = await heldMiB(worker);
  const opened = await browsers.order({ ...opening, count: sockets });
  const openMiB = residentMiB(worker);
  const held = await heldMiB(worker);
  const isSmall = report({
    name: `${sockets} open WebSockets, idle`,
    value: ((held - before) * 1_024) / sockets,
    limit: limitKiB,
    unit: 'KiB RSS of the worker each',
    detail: `${untouched.toFixed(0)} MiB before the first request, ${before.toFixed(0)} MiB before opening, ${openMiB.toFixed(0)} MiB right after opening, ${held.toFixed(0)} MiB after garbage collection; ${opened.open} open`,
  });

  for (const side of [application, browsers]) await side.order({ what: 'talk', everyMs });
  await sleep(everyMs);
  gateway.configure(configuration(port as number, [another]));
  await until(() => gateway.logs.some(({ event }) => event === 'config.reloaded'), {
    timeoutMs: 60_000,
    what: 'the changed configuration taken over',
  });
  await browsers.order({ ...opening, count: openedDuringReload });
  await sleep(talkAfterReloadMs);
  const workers = processTree(gateway.child.pid as number).length - 1;
  for (const side of [application, browsers]) await side.order({ what: 'hush' });
  const [told, heard] = await quiet(application, browsers);
  const lost = told.sent + heard.sent - told.heard - heard.heard;
  const isWhole = report({
    name: 'messages lost, doubled or out of order over a reload',
    value: Math.abs(lost) + told.gaps + heard.gaps,
    limit: 0,
    unit: 'messages',
    detail: `${heard.sent} to the application and ${told.sent} from it; old and new workers ${workers}`,
  });
  const isOpen = report({
    name: 'WebSockets that a reload closed',
    value: told.closed + heard.closed,
    limit: 0,
    unit: 'sockets',
    detail: `${heard.open} open, of them ${openedDuringReload} opened after it`,
  });
  return isSmall && isWhole && isOpen;
}

interface SideProcess extends Disposable {
  order(order: Order): Promise<SideReport>;
}

async function startSide(side: Side): Promise<SideProcess> {
  const file = fileURLToPath(new URL('harness/web-socket-side.ts', import.meta.url));
  const child: ChildProcess = fork(file, [side]);
  await once(child, 'spawn');
  return {
    order: async (order) => {
      const answer = Promise.race([once(child, 'message'), once(child, 'exit').then(refuseExit)]);
      child.send(order);
      return ((await answer) as [SideReport])[0];
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

function refuseExit(): never {
  throw new Error('a side of the WebSockets ended early');
}

/** Resident memory of what a worker holds when nothing happens. */
async function heldMiB(worker: number): Promise<number> {
  await sleep(settleMs);
  process.kill(worker, 'SIGUSR2');
  await sleep(settleMs);
  return residentMiB(worker);
}

/** Both reports once nothing is on its way any more, or after ten seconds of waiting for what is lost. */
async function quiet(...sides: readonly [SideProcess, SideProcess]): Promise<[SideReport, SideReport]> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const first = await sides[0].order({ what: 'report' });
    const second = await sides[1].order({ what: 'report' });
    const isComplete = first.heard === second.sent && second.heard === first.sent;
    if (isComplete || performance.now() > deadline) return [first, second];
    await sleep(100);
  }
}

function configuration(port: number, more: readonly object[]): Parameters<typeof startGatewayProcess>[0] {
  return {
    server: { publicUrl: 'http://login.example.test', workers: 1 },
    session: { cookie: { domain: 'example.test' } },
    providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
    applications: [
      {
        name: 'chat',
        hosts: [host],
        upstream: `http://127.0.0.1:${port}`,
        rules: [{ access: 'authenticated' }],
      },
      ...more,
    ],
  };
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

/**
 * What the reverse proxy costs with a warm session, one worker, rules, metrics and identity headers: against the
 * leanest proxy that Node can give, which asks nobody who they are, and against nginx, Caddy and Apache.
 */
import type { FrontProxy } from '#test/servers/front-proxy.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { cpuUs, processTree, residentMiB } from './harness/cpu.ts';
import { browserHeaders, otherCookies, runLoad } from './harness/load.ts';
import {
  answers,
  startApacheProxy,
  startCaddyProxy,
  startLeanProxy,
  startNginxProxy,
  startOrigin,
} from './harness/proxy-site.ts';
import { median, printConditions, range, report } from './harness/report.ts';

const warmUpSeconds = 7;
const rounds = 9;
const roundSeconds = 2;
const host = 'wiki.example.test';
const uploadBytes = 1_048_576;

interface Peer {
  readonly name: string;
  readonly port: number;
  readonly pids: readonly number[];
}

interface Figures {
  /** CPU per request in microseconds, one figure per round. */
  readonly costs: readonly number[];
  readonly perSecond: number;
}

interface Comparison {
  readonly path: string;
  readonly connections?: number;
  readonly uploadBytes?: number;
}

export async function run(): Promise<boolean> {
  await using origin = await startOrigin();
  await using gateway = await startGatewayProcess(configuration(origin));
  await using nginx = await startNginxProxy(origin.port);
  await using apache = await startApacheProxy(origin.port);
  await using caddy = await startCaddyProxy(origin.port);
  using lean = await startLeanProxy(origin.port);
  const headers = await headersOf(gateway);
  const peer = (name: string, { port, pid }: { readonly port: number; readonly pid: number }): Peer => ({
    name,
    port,
    pids: processTree(pid),
  });
  const ours = peer('vratar', { port: gateway.port, pid: gateway.child.pid as number });
  const peers = [
    ours,
    peer('lean Node proxy', lean),
    peer('nginx', nginx),
    peer('Apache', apache),
    peer('Caddy', caddy),
  ];
  for (const { port, name } of peers) await refuseWrongAnswers(port, name, headers);
  const small = await compare(peers, headers, { path: answers.small });
  const withNginx = peers.filter(({ name }) => name === 'vratar' || name === 'nginx');
  const large = await compare(withNginx, headers, { path: answers.large });
  const upload = await compare(withNginx, headers, { path: answers.upload, connections: 16, uploadBytes });
  console.log(`RSS of the worker after it all: ${residentMiB(ours.pids.at(-1) as number).toFixed(0)} MiB`);
  return [
    judge('1 KB answer against the leanest Node proxy', small, 'lean Node proxy', 1.25),
    judge('1 KB answer against nginx', small, 'nginx', 3.5),
    judge('1 KB answer against Apache mod_proxy', small, 'Apache', 1.1),
    judge('1 KB answer against Caddy', small, 'Caddy', 1),
    judge('100 KB download against nginx', large, 'nginx', 1.6),
    judge('1 MB upload against nginx', upload, 'nginx', 2.5),
  ].every(Boolean);
}

function configuration(origin: FrontProxy): Parameters<typeof startGatewayProcess>[0] {
  const url = `http://127.0.0.1:${origin.port}`;
  return {
    server: { publicUrl: 'http://login.example.test', workers: 1 },
    session: { cookie: { domain: 'example.test' } },
    providers: [
      {
        name: 'staff',
        type: 'local',
        users: [
          {
            username: 'alice',
            email: 'alice@example.test',
            displayName: 'Alice Example',
            groups: Array.from({ length: 10 }, (_, i) => `app-group-${i}`),
          },
        ],
      },
    ],
    roles: [{ when: { group: 'app-group-1' }, grant: { roles: ['reader', 'editor'] } }],
    applications: [
      {
        name: 'wiki',
        hosts: [host],
        upstream: url,
        rules: [
          { paths: ['/healthz'], access: 'public' },
          { paths: ['/admin/**'], access: { groups: ['admins'] } },
          { paths: ['/api/**'], methods: ['GET'], access: 'authenticated' },
          { networks: ['10.0.0.0/8'], access: { groups: ['staff'] } },
          { access: { groups: ['app-group-7'] } },
        ],
      },
      ...Array.from({ length: 20 }, (_, i) => ({
        name: `other-${i}`,
        hosts: [`other-${i}.example.test`],
        upstream: url,
        rules: [{ access: 'authenticated' }],
      })),
    ],
  };
}

/** Of a browser whose person is signed in. */
async function headersOf(gateway: GatewayProcess): Promise<readonly (readonly [string, string])[]> {
  const visitor = new Visitor(gateway.port, [['Host', 'login.example.test']]);
  const signedIn = await visitor.signIn('alice', await gateway.passwordOf('alice'));
  if (signedIn.status !== 303) throw new Error(`sign-in answered ${signedIn.status}`);
  return [...browserHeaders, ['Host', host], ['Cookie', `${otherCookies}; ${visitor.cookieHeader}`]];
}

/** A proxy that answers something else would be compared with one that works. */
async function refuseWrongAnswers(
  port: number,
  name: string,
  headers: readonly (readonly [string, string])[],
): Promise<void> {
  const small = await ask({ port, path: answers.small, headers });
  const large = await ask({ port, path: answers.large, headers });
  const body = 'x'.repeat(uploadBytes);
  const upload = await ask({ port, path: answers.upload, method: 'POST', headers, body });
  const got = [small.body.length, large.body.length, upload.status].join();
  if (got !== '1024,102400,200') throw new Error(`${name} answered wrongly: ${got}`);
}

/** Rounds in turn, so that whatever else the machine does hits all alike; the order changes every round. */
async function compare(
  peers: readonly Peer[],
  headers: readonly (readonly [string, string])[],
  { path, ...load }: Comparison,
): Promise<ReadonlyMap<string, Figures>> {
  const urlOf = ({ port }: Peer): string => `http://127.0.0.1:${port}${path}`;
  const costs = new Map(peers.map(({ name }) => [name, [] as number[]]));
  const rates = new Map(peers.map(({ name }) => [name, [] as number[]]));
  for (const peer of peers) await runLoad({ url: urlOf(peer), seconds: warmUpSeconds, headers, ...load });
  for (let round = 0; round < rounds; round++) {
    for (const peer of round % 2 === 0 ? peers : peers.toReversed()) {
      const before = cpuUs(peer.pids);
      const { requests, perSecond } = await runLoad({
        url: urlOf(peer),
        seconds: roundSeconds,
        headers,
        ...load,
      });
      costs.get(peer.name)?.push((cpuUs(peer.pids) - before) / requests);
      rates.get(peer.name)?.push(perSecond);
    }
  }
  return new Map(
    peers.map(({ name }) => [
      name,
      { costs: costs.get(name) as number[], perSecond: median(rates.get(name) as number[]) },
    ]),
  );
}

/** The median of the ratios within each round. */
function judge(name: string, figures: ReadonlyMap<string, Figures>, against: string, limit: number): boolean {
  const ours = figures.get('vratar') as Figures;
  const theirs = figures.get(against) as Figures;
  const ratios = ours.costs.map((cost, i) => cost / (theirs.costs[i] as number));
  return report({
    name,
    value: median(ratios),
    limit,
    unit: '× its CPU',
    detail: `${rounds} rounds ${range(ratios)}; CPU per request ${median(ours.costs).toFixed(1)} µs against ${median(theirs.costs).toFixed(1)} µs; ${Math.round(ours.perSecond)} against ${Math.round(theirs.perSecond)} requests/s`,
  });
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

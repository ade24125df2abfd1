/**
 * What an Envoy check over gRPC costs against the same decision over HTTP in the `envoy` dialect: one worker, a warm
 * session, the same headers of the same visitor, in turns in one run.
 */

import { checkMethod, Envoy, encodeCheckRequest } from '#test/servers/envoy-authorization.ts';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { cpuUs, processTree } from './harness/cpu.ts';
import { runGrpcLoad } from './harness/grpc-load.ts';
import { browserHeaders, otherCookies, runLoad } from './harness/load.ts';
import { median, printConditions, range, report } from './harness/report.ts';

const warmUpSeconds = 8;
/** Below 10,000 per connection, where the gateway ends it and h2load stops: 8 connections. */
const warmUpCalls = 20_000;
const rounds = 6;
const roundSeconds = 2;
const roundCalls = 30_000;
const ratioLimit = 2.5;

const host = 'wiki.example.test';
const path = '/spaces/engineering/pages/1048576?view=full';

/** Whether a check stays within its limit. */
export async function run(): Promise<boolean> {
  await using gateway = await startGatewayProcess({
    server: { publicUrl: 'http://login.example.test', workers: 1, grpc: { listen: '127.0.0.1:0' } },
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
    applications: [
      {
        name: 'wiki',
        hosts: [host],
        rules: [
          { paths: ['/healthz'], access: 'public' },
          { paths: ['/admin/**'], access: { groups: ['admins'] } },
          { paths: ['/api/**'], methods: ['GET'], access: 'authenticated' },
          { networks: ['10.0.0.0/8'], access: { groups: ['staff'] } },
          { access: { groups: ['app-group-7'] } },
        ],
      },
    ],
  });
  const line = await until(() => gateway.logs.find(({ event }) => event === 'grpc.listening'));
  const { port } = line['address'] as { port: number };
  const visitor = new Visitor(gateway.port, [['Host', 'login.example.test']]);
  const signedIn = await visitor.signIn('alice', await gateway.passwordOf('alice'));
  if (signedIn.status !== 303) throw new Error(`sign-in answered ${signedIn.status}`);

  const visit = [
    ...browserHeaders,
    ['Cookie', `${otherCookies}; ${visitor.cookieHeader}`],
    ['X-Forwarded-For', '198.51.100.7'],
    ['X-Forwarded-Proto', 'https'],
  ] as const;
  const headers = [['Host', host], ...visit] as const;
  const message = encodeCheckRequest({
    host,
    path,
    headers: [
      [':authority', host],
      [':method', 'GET'],
      [':path', path],
      [':scheme', 'https'],
      ...visit.map(([name, value]) => [name.toLowerCase(), value] as const),
      ['x-request-id', 'a3d2f0c1-7a5b-4a3e-9f59-0c2c6b7d8e9f'],
    ],
  });
  const endpoint = `/_vratar/auth/envoy${path}`;
  await mustPass({ endpoint, headers, gatewayPort: gateway.port, grpcPort: port, message });

  const pids = processTree(gateway.child.pid as number);
  const measure = async (load: () => Promise<{ requests: number; perSecond: number }>) => {
    const before = cpuUs(pids);
    const { requests, perSecond } = await load();
    return { cost: (cpuUs(pids) - before) / requests, perSecond };
  };
  const url = `http://127.0.0.1:${gateway.port}${endpoint}`;
  const http = async (seconds: number) => await runLoad({ url, seconds, headers });
  const grpc = async (calls: number) => await runGrpcLoad({ port, method: checkMethod, message, calls });

  await http(warmUpSeconds);
  const warmAt = performance.now() + warmUpSeconds * 1_000;
  while (performance.now() < warmAt) await grpc(warmUpCalls);
  const pairs: Record<'grpc' | 'http', { cost: number; perSecond: number }>[] = [];
  for (let round = 0; round < rounds; round++) {
    // In turns, so that a machine that slows down slows both.
    const first = round % 2 === 0 ? await measure(async () => await http(roundSeconds)) : undefined;
    const ours = await measure(async () => await grpc(roundCalls));
    pairs.push({ grpc: ours, http: first ?? (await measure(async () => await http(roundSeconds))) });
  }
  const ratios = pairs.map((pair) => pair.grpc.cost / pair.http.cost);
  const costs = (kind: 'grpc' | 'http'): string => median(pairs.map((pair) => pair[kind].cost)).toFixed(1);
  const rates = (kind: 'grpc' | 'http'): number =>
    Math.round(median(pairs.map((pair) => pair[kind].perSecond)));
  return report({
    name: 'gRPC check, warm session, primary and worker together',
    value: median(ratios),
    limit: ratioLimit,
    unit: '× CPU of the HTTP dialect',
    detail: `${rounds} rounds ${range(ratios)}; message of ${message.length} bytes; CPU per check ${costs('grpc')} µs against ${costs('http')} µs; ${rates('grpc')} against ${rates('http')} checks/s`,
  });
}

/** Both ways must let this visitor pass as alice: a benchmark of refusals measures nothing. */
async function mustPass(sent: {
  readonly endpoint: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly gatewayPort: number;
  readonly grpcPort: number;
  readonly message: Buffer;
}): Promise<void> {
  const overHttp = await ask({ port: sent.gatewayPort, path: sent.endpoint, headers: sent.headers });
  if (overHttp.headers['remote-user'] !== 'alice') throw new Error(`HTTP answered ${overHttp.status}`);
  using envoy = new Envoy(sent.grpcPort);
  const { code, headers } = await envoy.checkMessage(sent.message);
  if (headers['remote-user'] !== 'alice') throw new Error(`the check answered ${code}`);
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

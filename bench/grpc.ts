/**
 * What an Envoy check over gRPC costs against the same decision over HTTP in the `envoy` dialect: one worker, a warm
 * session, the same headers of the same visitor, in turns in one run.
 */
import { checkMethod, Envoy, encodeCheckRequest } from '#test/servers/envoy-authorization.ts';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { ask } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { compare, costRatios, detailOf, type Peer, peerUnderLoad } from './harness/comparison.ts';
import { processTree } from './harness/cpu.ts';
import { runGrpcLoad } from './harness/grpc-load.ts';
import { browserHeaders, otherCookies } from './harness/load.ts';
import { median, printConditions, report } from './harness/report.ts';
import { wikiHost as host, signInAlice, wikiSite } from './harness/wiki-site.ts';

const durations = { warmUpSeconds: 8, roundSeconds: 2 };
/** Below 10,000 per connection, where the gateway ends it and h2load stops: 8 connections. */
const warmUpCalls = 20_000;
const rounds = 6;
const roundCalls = 30_000;
const ratioLimit = 2.5;

const path = '/spaces/engineering/pages/1048576?view=full';

/** Whether a check stays within its limit. */
export async function run(): Promise<boolean> {
  await using gateway = await startGatewayProcess(wikiSite({ server: { grpc: { listen: '127.0.0.1:0' } } }));
  const line = await until(() => gateway.logs.find(({ event }) => event === 'grpc.listening'));
  const { port } = line['address'] as { port: number };
  const visitor = await signInAlice(gateway);

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
  const url = `http://127.0.0.1:${gateway.port}${endpoint}`;
  const callGrpc = async (calls: number) => await runGrpcLoad({ port, method: checkMethod, message, calls });
  const overGrpc: Peer<'grpc'> = {
    name: 'grpc',
    pids,
    warmUp: async () => {
      const warmAt = performance.now() + durations.warmUpSeconds * 1_000;
      while (performance.now() < warmAt) await callGrpc(warmUpCalls);
    },
    measure: async () => await callGrpc(roundCalls),
  };
  const overHttp = peerUnderLoad({ name: 'http', pids }, { url, headers }, durations);
  const { grpc, http } = await compare<'grpc' | 'http'>([overHttp, overGrpc], rounds);
  const ratios = costRatios(grpc, http);
  return report({
    name: 'gRPC check, warm session, primary and worker together',
    value: median(ratios),
    limit: ratioLimit,
    unit: '× CPU of the HTTP dialect',
    detail: `message of ${message.length} bytes; ${detailOf(ratios, grpc, http)}`,
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

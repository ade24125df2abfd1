/**
 * What a forward-auth decision costs: a warm session, one worker, rules, metrics and five identity headers,
 * against a bare `node:http` server that answers 200 with the same response headers.
 */
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { ask } from '#test/support/http-client.ts';
import { compare, costRatios, detailOf, peerUnderLoad } from './harness/comparison.ts';
import { processTree, residentMiB } from './harness/cpu.ts';
import { browserHeaders, otherCookies } from './harness/load.ts';
import { startNodeServer } from './harness/node-server.ts';
import { median, printConditions, report } from './harness/report.ts';
import { signInAlice, wikiHost, wikiSite } from './harness/wiki-site.ts';

const durations = { warmUpSeconds: 8, roundSeconds: 2 };
const rounds = 8;
const ratioLimit = 1.2;
const idleLimitMiB = 130;

export async function run(): Promise<boolean> {
  await using gateway = await startGatewayProcess(wikiSite());
  const pids = processTree(gateway.child.pid as number);
  const worker = pids.at(-1) as number;
  const idleMiB = residentMiB(worker);

  const visitor = await signInAlice(gateway);
  const headers = [
    ...browserHeaders,
    ['Host', 'login.example.test'],
    ['Cookie', `${otherCookies}; ${visitor.cookieHeader}`],
    ['X-Original-URL', `https://${wikiHost}/spaces/engineering/pages/1048576?view=full`],
    ['X-Original-Method', 'GET'],
    ['X-Forwarded-For', '198.51.100.7'],
    ['X-Forwarded-Proto', 'https'],
  ] as const;
  const path = '/_vratar/auth/nginx';
  const decision = await ask({ port: gateway.port, path, headers });
  if (decision.status !== 200) throw new Error(`the decision was ${decision.status}`);

  const answered = decision.rawHeaders.filter(
    (_, i, list) => !/^(date|connection|keep-alive)$/i.test(list[i - (i % 2)] as string),
  );
  using bare = await startNodeServer('bare-server.ts', JSON.stringify(answered));
  const loadOf = (port: number) => ({ url: `http://127.0.0.1:${port}${path}`, headers });
  const { vratar: ours, bare: theirs } = await compare(
    [
      peerUnderLoad({ name: 'vratar', pids }, loadOf(gateway.port), durations),
      peerUnderLoad({ name: 'bare', pids: [bare.pid] }, loadOf(bare.port), durations),
    ],
    rounds,
  );
  const ratios = costRatios(ours, theirs);
  const isFast = report({
    name: 'forward-auth decision, warm session, primary and worker together',
    value: median(ratios),
    limit: ratioLimit,
    unit: '× CPU of bare node:http',
    detail: detailOf(ratios, ours, theirs),
  });
  const isSmall = report({
    name: 'idle worker',
    value: idleMiB,
    limit: idleLimitMiB,
    unit: 'MiB RSS',
    detail: `after ${rounds * durations.roundSeconds + durations.warmUpSeconds} s of load ${residentMiB(worker).toFixed(0)} MiB`,
  });
  return isFast && isSmall;
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

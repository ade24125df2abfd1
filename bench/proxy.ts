/**
 * What the reverse proxy costs with a warm session, one worker, rules, metrics and identity headers: against the
 * leanest proxy that Node can give, which asks nobody who they are, and against nginx, Caddy and Apache.
 */
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { ask } from '#test/support/http-client.ts';
import { compare, costRatios, detailOf, type Figures, peerUnderLoad } from './harness/comparison.ts';
import { processTree, residentMiB } from './harness/cpu.ts';
import { browserHeaders, type Load, otherCookies } from './harness/load.ts';
import {
  answers,
  startApacheProxy,
  startCaddyProxy,
  startLeanProxy,
  startNginxProxy,
  startOrigin,
} from './harness/proxy-site.ts';
import { median, printConditions, report } from './harness/report.ts';
import { signInAlice, wikiHost, wikiSite } from './harness/wiki-site.ts';

const durations = { warmUpSeconds: 7, roundSeconds: 2 };
const rounds = 9;
const uploadBytes = 1_048_576;

interface Proxy<Name extends string = string> {
  readonly name: Name;
  readonly port: number;
  readonly pids: readonly number[];
}

type Headers = readonly (readonly [name: string, value: string])[];

export async function run(): Promise<boolean> {
  await using origin = await startOrigin();
  await using gateway = await startGatewayProcess(wikiSite({ upstream: `http://127.0.0.1:${origin.port}` }));
  await using nginx = await startNginxProxy(origin.port);
  await using apache = await startApacheProxy(origin.port);
  await using caddy = await startCaddyProxy(origin.port);
  using lean = await startLeanProxy(origin.port);
  const { cookieHeader } = await signInAlice(gateway);
  const headers = [
    ...browserHeaders,
    ['Host', wikiHost],
    ['Cookie', `${otherCookies}; ${cookieHeader}`],
  ] as const;
  const proxy = <Name extends string>(
    name: Name,
    { port, pid }: { readonly port: number; readonly pid: number },
  ): Proxy<Name> => ({ name, port, pids: processTree(pid) });
  const ours = proxy('vratar', { port: gateway.port, pid: gateway.child.pid as number });
  const nginxProxy = proxy('nginx', nginx);
  const all = [
    ours,
    proxy('lean Node proxy', lean),
    nginxProxy,
    proxy('Apache', apache),
    proxy('Caddy', caddy),
  ];
  for (const each of all) await refuseWrongAnswers(each, headers);
  const small = await compareOn(all, { headers }, answers.small);
  const withNginx = [ours, nginxProxy];
  const large = await compareOn(withNginx, { headers }, answers.large);
  const upload = await compareOn(withNginx, { headers, connections: 16, uploadBytes }, answers.upload);
  console.log(`RSS of the worker after it all: ${residentMiB(ours.pids.at(-1) as number).toFixed(0)} MiB`);
  return [
    judge('1 KB answer against the leanest Node proxy', small.vratar, small['lean Node proxy'], 1.25),
    judge('1 KB answer against nginx', small.vratar, small.nginx, 3.5),
    judge('1 KB answer against Apache mod_proxy', small.vratar, small.Apache, 1.1),
    judge('1 KB answer against Caddy', small.vratar, small.Caddy, 1),
    judge('100 KB download against nginx', large.vratar, large.nginx, 1.6),
    judge('1 MB upload against nginx', upload.vratar, upload.nginx, 2.5),
  ].every(Boolean);
}

/** A proxy that answers something else would be compared with one that works. */
async function refuseWrongAnswers({ name, port }: Proxy, headers: Headers): Promise<void> {
  const small = await ask({ port, path: answers.small, headers });
  const large = await ask({ port, path: answers.large, headers });
  const body = 'x'.repeat(uploadBytes);
  const upload = await ask({ port, path: answers.upload, method: 'POST', headers, body });
  const got = [small.body.length, large.body.length, upload.status].join();
  if (got !== '1024,102400,200') throw new Error(`${name} answered wrongly: ${got}`);
}

async function compareOn<Name extends string>(
  proxies: readonly Proxy<Name>[],
  load: Omit<Load, 'url' | 'seconds'>,
  path: string,
): Promise<Readonly<Record<Name, Figures>>> {
  const peers = proxies.map((proxy) =>
    peerUnderLoad(proxy, { ...load, url: `http://127.0.0.1:${proxy.port}${path}` }, durations),
  );
  return await compare(peers, rounds);
}

function judge(name: string, ours: Figures, theirs: Figures, limit: number): boolean {
  const ratios = costRatios(ours, theirs);
  return report({
    name,
    value: median(ratios),
    limit,
    unit: '× its CPU',
    detail: detailOf(ratios, ours, theirs),
  });
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

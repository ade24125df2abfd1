/**
 * What a forward-auth decision costs: a warm session, one worker, rules, metrics and five identity headers,
 * against a bare `node:http` server that answers 200 with the same response headers.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { cpuUs, processTree, residentMiB } from './harness/cpu.ts';
import { browserHeaders, otherCookies, runLoad } from './harness/load.ts';
import { median, printConditions, range, report } from './harness/report.ts';

const warmUpSeconds = 8;
const rounds = 8;
const roundSeconds = 2;
const ratioLimit = 1.2;
const idleLimitMiB = 130;

export async function run(): Promise<boolean> {
  await using gateway = await startGatewayProcess({
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
        hosts: ['wiki.example.test'],
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
        rules: [{ access: 'authenticated' }],
      })),
    ],
  });
  const worker = processTree(gateway.child.pid as number).at(-1) as number;
  const idleMiB = residentMiB(worker);

  const password = await gateway.passwordOf('alice');
  const visitor = new Visitor(gateway.port, [['Host', 'login.example.test']]);
  const signedIn = await visitor.signIn('alice', password);
  if (signedIn.status !== 303) throw new Error(`sign-in answered ${signedIn.status}`);
  const headers = [
    ...browserHeaders,
    ['Host', 'login.example.test'],
    ['Cookie', `${otherCookies}; ${visitor.cookieHeader}`],
    ['X-Original-URL', 'https://wiki.example.test/spaces/engineering/pages/1048576?view=full'],
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
  const bare = spawn(
    process.execPath,
    [fileURLToPath(new URL('harness/bare-server.ts', import.meta.url)), JSON.stringify(answered)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = (await once(bare.stdout, 'data')) as [Buffer];
  const servers = [
    {
      name: 'vratar',
      url: `http://127.0.0.1:${gateway.port}${path}`,
      pids: processTree(gateway.child.pid as number),
    },
    { name: 'bare', url: `http://127.0.0.1:${Number(line.toString())}${path}`, pids: [bare.pid as number] },
  ];
  const costs = new Map(servers.map(({ name }) => [name, [] as number[]]));
  const rates = new Map(servers.map(({ name }) => [name, [] as number[]]));
  try {
    for (const { url } of servers) await runLoad({ url, seconds: warmUpSeconds, headers });
    for (let round = 0; round < rounds; round++) {
      for (const { name, url, pids } of round % 2 === 0 ? servers : servers.toReversed()) {
        const before = cpuUs(pids);
        const { requests, perSecond } = await runLoad({ url, seconds: roundSeconds, headers });
        costs.get(name)?.push((cpuUs(pids) - before) / requests);
        rates.get(name)?.push(perSecond);
      }
    }
  } finally {
    bare.kill('SIGKILL');
  }
  const [ours = [], theirs = []] = servers.map(({ name }) => costs.get(name));
  const ratios = ours.map((cost, i) => cost / (theirs[i] as number));
  const isFast = report({
    name: 'forward-auth decision, warm session, primary and worker together',
    value: median(ratios),
    limit: ratioLimit,
    unit: '× CPU of bare node:http',
    detail: `${rounds} rounds ${range(ratios)}; CPU per request ${median(ours).toFixed(1)} µs against ${median(theirs).toFixed(1)} µs; ${Math.round(median(rates.get('vratar') as number[]))} against ${Math.round(median(rates.get('bare') as number[]))} requests/s`,
  });
  const isSmall = report({
    name: 'idle worker',
    value: idleMiB,
    limit: idleLimitMiB,
    unit: 'MiB RSS',
    detail: `after ${rounds * roundSeconds + warmUpSeconds} s of load ${residentMiB(worker).toFixed(0)} MiB`,
  });
  return isFast && isSmall;
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

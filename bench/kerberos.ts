/**
 * What a Kerberos ticket costs, and what the session saves, against Apache with mod_auth_gssapi in the same run: the
 * same tickets from the same driver over 8 connections, each used once, replay memory off on both sides, rounds in turn.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { ask } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { startApacheGssapi } from './harness/apache-gssapi.ts';
import { compare, costRatios, detailOf, type Peer, peerUnderLoad } from './harness/comparison.ts';
import { processTree } from './harness/cpu.ts';
import { median, printConditions, range, report } from './harness/report.ts';
import { compile, startToldProcess } from './harness/told-process.ts';

const host = 'bench.localhost';
const connections = 8;
/** Until the compilers have seen enough, which takes a number of tickets and not a time. */
const warmUpRequests = 40_000;
const requestsAtOnce = 8_000;
const rounds = 8;
const requestsPerRound = 6_000;
const sessionRounds = 6;
/** The compilers have seen tickets until then, and other headers. */
const sessionDurations = { warmUpSeconds: 10, roundSeconds: 2 };
const sessionConnections = 64;
const limits = { helper: 0.6, none: 0.75, session: 2.5 } as const;

interface Round {
  readonly requests: number;
  readonly failed: number;
  readonly seconds: number;
}

interface Driver extends Disposable {
  /** Tickets per second. Throws when any was refused: a benchmark of refusals measures nothing. */
  run(
    target: { readonly port: number; readonly path: string; readonly headFile: string },
    requests: number,
  ): Promise<number>;
}

export async function run(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-bench-'));
  try {
    await using resources = new AsyncDisposableStack();
    const kdc = resources.use(await startKdc({ services: [`HTTP/${host}`] }));
    const driver = resources.use(await startDriver(folder, kdc));
    const apache = resources.use(await startApacheGssapi(kdc));
    const helper = resources.use(await startGateway(join(folder, 'helper'), kdc, 'helper'));
    const none = resources.use(await startGateway(join(folder, 'none'), kdc, 'none'));
    const noLines = join(folder, 'no-lines');
    await writeFile(noLines, '');
    const question = join(folder, 'question');
    await writeFile(question, `X-Original-URL: http://${host}/tickets/x\r\nX-Original-Method: GET\r\n`);
    const targets = [
      { name: 'apache', port: apache.port, path: '/ticket/x', headFile: noLines },
      { name: 'helper', port: helper.port, path: '/_vratar/auth/nginx', headFile: question },
      { name: 'none', port: none.port, path: '/_vratar/auth/nginx', headFile: question },
    ] as const;
    const rates = { apache: [], helper: [], none: [] } as Record<(typeof targets)[number]['name'], number[]>;
    for (const target of targets) {
      const warmUp = target.name === 'apache' ? requestsAtOnce : warmUpRequests;
      for (let sent = 0; sent < warmUp; sent += requestsAtOnce) await driver.run(target, requestsAtOnce);
    }
    for (let round = 0; round < rounds; round++) {
      for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
        rates[target.name].push(await driver.run(target, requestsPerRound));
      }
    }
    const isMet = (['helper', 'none'] as const).map((name) => {
      const ratios = rates[name].map((rate, i) => rate / (rates.apache[i] as number));
      return report({
        name: name === 'helper' ? 'tickets judged by the helper process' : 'tickets judged in the worker',
        value: median(ratios),
        limit: limits[name],
        isLeast: true,
        unit: '× the rate of mod_auth_gssapi',
        detail: `${rounds} rounds ${range(ratios)}; ${Math.round(median(rates[name]))} against ${Math.round(median(rates.apache))} a second`,
      });
    });
    isMet.push(await compareSessions(kdc, apache, helper));
    return isMet.every(Boolean);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Server {
  readonly port: number;
  readonly pid: number;
}

/** Requests after the first one: CPU of all processes of either server. */
async function compareSessions(kdc: Kdc, apache: Server, gateway: Server): Promise<boolean> {
  const asked = [
    ['Host', host],
    ['X-Original-URL', `http://${host}/pages/x`],
    ['X-Original-Method', 'GET'],
  ] as const;
  const contestants = [
    {
      name: 'gateway',
      port: gateway.port,
      pid: gateway.pid,
      path: '/_vratar/auth/nginx',
      headers: asked,
      cookie: 'vratar',
    },
    {
      name: 'apache',
      port: apache.port,
      pid: apache.pid,
      path: '/session/x',
      headers: [['Host', host]],
      cookie: 'gssapi_session',
    },
  ] as const;
  const peers: Peer<'gateway' | 'apache'>[] = [];
  for (const { name, port, pid, path, headers, cookie } of contestants) {
    const token = ['Authorization', `Negotiate ${await kdc.token('alice', `HTTP/${host}`)}`] as const;
    const first = await ask({ port, path, headers: [...headers, token] });
    const session = first.values('set-cookie').find((line) => line.startsWith(`${cookie}=`));
    if (first.status !== 200 || session === undefined)
      throw new Error(`${path} opened no session: ${first.status}`);
    const [pair = ''] = session.split(';', 1);
    const load = {
      url: `http://127.0.0.1:${port}${path}`,
      headers: [...headers, ['Cookie', pair] as const],
      connections: sessionConnections,
    };
    peers.push(peerUnderLoad({ name, pids: processTree(pid) }, load, sessionDurations));
  }
  const { gateway: ours, apache: theirs } = await compare(peers, sessionRounds);
  const ratios = costRatios(theirs, ours);
  return report({
    name: 'requests with a session, CPU of mod_session with mod_auth_gssapi',
    value: median(ratios),
    limit: limits.session,
    isLeast: true,
    unit: '× ours',
    detail: detailOf(ratios, ours, theirs),
  });
}

async function startDriver(folder: string, kdc: Kdc): Promise<Driver> {
  const program = compile('negotiate_load.c', folder, ['gssapi_krb5', 'pthread']);
  const env = { ...process.env, ...(await kdc.signIn('alice')) };
  const child = startToldProcess<Round>(program, [host, String(connections)], env);
  return {
    run: async ({ port, path, headFile }, requests) => {
      const round = await child.tell(`${port} ${path} ${requests} ${headFile}`);
      if (round.failed > 0)
        throw new Error(`${round.failed} of ${round.requests} tickets were refused at ${path}`);
      return round.requests / round.seconds;
    },
    [Symbol.dispose]: () => child[Symbol.dispose](),
  };
}

/** `vratar serve` with its log in a file, as Apache has its own: reading it here would take from what is measured. */
async function startGateway(
  folder: string,
  kdc: Kdc,
  isolation: 'helper' | 'none',
): Promise<Server & AsyncDisposable> {
  await mkdir(folder);
  const rules = [{ access: 'authenticated' }];
  const applications = [
    { name: 'tickets', pathPrefix: '/tickets/', credentials: ['negotiate'], challenge: 'direct' },
    { name: 'pages', pathPrefix: '/pages/', credentials: ['session', 'negotiate'] },
  ].map((application) => ({ ...application, hosts: [host], rules }));
  const config = {
    server: { listen: '127.0.0.1:0', publicUrl: `http://${host}`, trustedProxies: ['127.0.0.1/32'] },
    management: { listen: '127.0.0.1:0' },
    state: { directory: join(folder, 'data') },
    providers: [
      { name: 'sso', type: 'kerberos', keytab: kdc.keytab, realms: [kdc.realm], isolation, replay: 'off' },
    ],
    applications,
  };
  const file = join(folder, 'vratar.yaml');
  await writeFile(file, JSON.stringify(config));
  const log = join(folder, 'log');
  const descriptor = openSync(log, 'w');
  const launcher = fileURLToPath(new URL('../src/launcher.mjs', import.meta.url));
  const child = spawn(process.execPath, [launcher, 'serve', '--config', file], {
    stdio: ['ignore', descriptor, 'inherit'],
    env: { ...process.env, KRB5_CONFIG: kdc.configFile },
  });
  closeSync(descriptor);
  const address = await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`vratar serve ended with ${child.exitCode}`);
      const ready = (await readFile(log, 'utf8'))
        .split('\n')
        .find((line) => line.includes('"event":"ready"'));
      return ready === undefined ? undefined : String((JSON.parse(ready) as { address: unknown }).address);
    },
    { timeoutMs: 30_000, what: 'the gateway being ready' },
  );
  return {
    port: Number(address.split(':').pop()),
    pid: child.pid as number,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

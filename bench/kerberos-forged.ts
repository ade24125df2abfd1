/**
 * Memory of the gateway while it refuses forged tickets: the right service, anybody's bytes inside, so that every
 * second one reaches libkrb5; the others name a service of 8,000 characters, which the library would repeat and never
 * free. Primary and worker count; the helper process is reported, because it is replaced before its leak matters.
 */
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { base64, negotiationToken, ticketToken } from '#test/providers/kerberos/built-tokens.ts';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { startKdc } from '#test/servers/kdc.ts';
import { childProcesses } from '#test/support/child-processes.ts';
import { processTree, residentMiB } from './harness/cpu.ts';
import { median, printConditions, report } from './harness/report.ts';

const tokens = 20_000;
const connections = 8;
/** The first ones fill caches and wake the compilers: memory that is used once and not with every token. */
const warmUps = 2;
const rounds = 3;
const limitMiB = 5;
const settleMs = 4_000;

/** Whether the gateway stays within its limit. */
export async function run(): Promise<boolean> {
  await using kdc = await startKdc();
  await using gateway = await startGatewayProcess({
    server: { publicUrl: 'http://gw.localhost', workers: 1 },
    providers: [{ name: 'sso', type: 'kerberos', keytab: kdc.keytab, realms: [kdc.realm] }],
    applications: [
      {
        name: 'api',
        hosts: ['gw.localhost'],
        credentials: ['negotiate'],
        challenge: 'direct',
        rules: [{ access: 'authenticated' }],
      },
    ],
  });
  const primary = gateway.child.pid as number;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const present = async (): Promise<void> => {
    let left = tokens;
    const one = async (): Promise<void> => {
      while (left > 0) await refuse(agent, gateway.port, forgedToken(left--));
    };
    await Promise.all(Array.from({ length: connections }, one));
  };
  for (let round = 0; round < warmUps; round++) await present();
  const growth: number[] = [];
  let before = await settledMiB(primary);
  const startMiB = before;
  for (let round = 0; round < rounds; round++) {
    await present();
    const after = await settledMiB(primary);
    growth.push(after - before);
    before = after;
  }
  agent.destroy();
  const helpers = helpersOf(primary).map(residentMiB);
  const judged = gateway.logs.filter(
    ({ event, reason }) => event === 'sign-in.refused' && reason === 'key-mismatch',
  );
  if (judged.length < (tokens / 2) * (warmUps + rounds))
    throw new Error(`only ${judged.length} reached libkrb5`);
  return report({
    name: `growth of primary and worker by ${tokens} forged tokens`,
    value: median(growth),
    limit: limitMiB,
    unit: 'MiB RSS',
    detail:
      `rounds ${growth.map((value) => value.toFixed(1)).join(', ')}; ${startMiB.toFixed(0)} MiB before; ` +
      `helper ${helpers.map((value) => value.toFixed(0)).join(' + ')} MiB after ${tokens * (warmUps + rounds)} tokens`,
  });
}

function forgedToken(number: number): string {
  const service = number % 2 === 0 ? 'HTTP/gw.localhost' : `HTTP/${'a'.repeat(8_000)}`;
  return base64(negotiationToken(['krb5'], ticketToken({ service, cipher: randomBytes(300) })));
}

async function refuse(agent: Agent, port: number, token: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = {
    'X-Original-URL': 'http://gw.localhost/',
    'X-Original-Method': 'GET',
    Authorization: `Negotiate ${token}`,
  };
  request({ host: '127.0.0.1', port, path: '/_vratar/auth/nginx', agent, headers }, (answer) => {
    answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
  })
    .once('error', reject)
    .end();
  const status = await promise;
  if (status !== 401) throw new Error(`a forged token was answered with ${status}`);
}

function helpersOf(primary: number): readonly number[] {
  return processTree(primary).flatMap((pid) => childProcesses('helper-entry', pid));
}

/** Primary and worker without the helper, when the collectors have had time. The least of some samples. */
async function settledMiB(primary: number): Promise<number> {
  await sleep(settleMs);
  const samples: number[] = [];
  for (let sample = 0; sample < 10; sample++) {
    const helpers = helpersOf(primary);
    const own = processTree(primary).filter((pid) => !helpers.includes(pid));
    samples.push(own.reduce((sum, pid) => sum + residentMiB(pid), 0));
    await sleep(100);
  }
  return Math.min(...samples);
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

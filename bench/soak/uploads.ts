/**
 * What uploads leave behind: thousands of 10 MB through TLS, 50 in flight, over HTTP/1.1 and then over HTTP/2, and
 * single ones of 1 GB. Prints the worker's memory over time; fails when it grows. `--uploads N` for a shorter run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createAuthority } from '#test/servers/certificates.ts';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { processTree, residentMiB } from '../harness/cpu.ts';
import { median, printConditions, report } from '../harness/report.ts';

const host = 'app.localhost';
const megabyte = 1_000_000;
const uploadBytes = 10 * megabyte;
const largeBytes = 1_000 * megabyte;
const growthLimitMiB = 24;
const largeGrowthLimitMiB = 64;
const lookEveryMs = 500;
const printEveryMs = 10_000;

const protocols = [
  { name: 'HTTP/1.1', load: ['--h1', '-c', '50', '-m', '1'], curl: ['--http1.1'] },
  { name: 'HTTP/2', load: ['-c', '10', '-m', '5'], curl: ['--http2'] },
] as const;

/** Counts what arrives and keeps nothing. */
async function startSink(): Promise<{ readonly url: string; bytes(): number } & Disposable> {
  let bytes = 0;
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end('taken'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytes: () => bytes,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Resident memory of `pid`, looked at until `running` ends. */
async function watched(pid: number, running: ChildProcess, label: string): Promise<readonly number[]> {
  const seen: number[] = [];
  const startedAt = performance.now();
  let printedAt = startedAt;
  while (running.exitCode === null && running.signalCode === null) {
    seen.push(residentMiB(pid));
    if (performance.now() - printedAt >= printEveryMs) {
      printedAt = performance.now();
      const last = (seen.at(-1) as number).toFixed(0);
      console.log(`  ${label} ${Math.round((printedAt - startedAt) / 1_000)} s: ${last} MiB`);
    }
    await sleep(lookEveryMs);
  }
  if (running.exitCode !== 0) throw new Error(`${label}: the client ended with ${running.exitCode}`);
  return seen;
}

/** What the later part of a run has more than the part in which everything was met for the first time. */
function growth(seen: readonly number[]): number {
  const part = (from: number, to: number): number =>
    median(seen.slice(Math.floor(seen.length * from), Math.max(1, Math.floor(seen.length * to))));
  return part(0.8, 1) - part(0.2, 0.4);
}

export async function run(uploads: number): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-soak-'));
  await using authority = await createAuthority();
  const { certificateFile, keyFile } = await authority.issue({ hosts: [host] });
  using sink = await startSink();
  await using gateway = await startGatewayProcess({
    server: {
      publicUrl: 'https://login.localhost',
      workers: 1,
      tls: { certificateFile, keyFile },
      limits: { eventLoopDelay: 'off' },
    },
    providers: [],
    applications: [{ name: 'app', hosts: [host], upstream: sink.url, rules: [{ access: 'public' }] }],
  });
  const worker = processTree(gateway.child.pid as number).at(-1) as number;
  const url = `https://${host}:${gateway.port}/upload`;
  const file = join(folder, 'upload');
  const large = join(folder, 'large');
  writeFileSync(file, Buffer.alloc(uploadBytes));
  writeFileSync(large, '');
  truncateSync(large, largeBytes);
  let isFlat = true;
  const judge = (name: string, value: number, limit: number, detail: string): void => {
    isFlat = report({ name, value, limit, unit: 'MiB RSS more', detail }) && isFlat;
  };
  try {
    for (const { name, load, curl } of protocols) {
      const count = Math.max(50, Math.floor(uploads / protocols.length));
      const before = sink.bytes();
      const client = spawn(
        'h2load',
        [
          '-n',
          String(count),
          ...load,
          '-d',
          file,
          '-H',
          ':method: POST',
          '--connect-to',
          `127.0.0.1:${gateway.port}`,
          url,
        ],
        { stdio: 'ignore' },
      );
      const seen = await watched(worker, client, name);
      const arrived = (sink.bytes() - before) / uploadBytes;
      if (arrived !== count) throw new Error(`${name}: ${arrived} of ${count} uploads arrived`);
      judge(
        `${count} uploads of 10 MB over TLS and ${name}, 50 in flight`,
        growth(seen),
        growthLimitMiB,
        `first ${seen[0]?.toFixed(0)}, median ${median(seen).toFixed(0)}, most ${Math.max(...seen).toFixed(0)}, last ${seen.at(-1)?.toFixed(0)} MiB in ${Math.round((seen.length * lookEveryMs) / 1_000)} s`,
      );
      const idleMiB = residentMiB(worker);
      const alone = spawn(
        'curl',
        [
          '-sfk',
          ...curl,
          '--connect-to',
          `${host}:${gateway.port}:127.0.0.1:${gateway.port}`,
          '-T',
          large,
          url,
        ],
        { stdio: 'ignore' },
      );
      const during = await watched(worker, alone, `1 GB over ${name}`);
      judge(
        `one upload of 1 GB over TLS and ${name}`,
        Math.max(...during) - idleMiB,
        largeGrowthLimitMiB,
        `${idleMiB.toFixed(0)} MiB before, most ${Math.max(...during).toFixed(0)} MiB`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return isFlat;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { uploads: { type: 'string', default: '10000' } } });
  printConditions();
  process.exitCode = (await run(Number(values.uploads))) ? 0 : 1;
}

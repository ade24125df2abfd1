/** Load from wrk (Debian package): a constant number of connections for a while, and what was answered. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Load {
  readonly url: string;
  readonly seconds: number;
  readonly connections?: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Every request is a POST with a body of so many bytes. Omitted: GET. */
  readonly uploadBytes?: number | undefined;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p99Ms: number;
}

/** Throws when any answer was not 2xx or a connection failed: a benchmark of errors measures nothing. */
export async function runLoad({
  url,
  seconds,
  connections = 64,
  headers,
  uploadBytes,
}: Load): Promise<LoadResult> {
  const flags = headers.flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  // A busy machine may leave a server without a processor for seconds: that is no error of the server.
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', ...flags];
  const stdout = uploadBytes === undefined ? await wrk([...args, url]) : await upload(args, url, uploadBytes);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`the load met errors:\n${stdout}`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  const [, value = '', unit = ''] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  return {
    requests,
    perSecond,
    p99Ms: Number(value) * { us: 0.001, ms: 1, s: 1_000 }[unit as 'us' | 'ms' | 's'],
  };
}

async function upload(args: readonly string[], url: string, bytes: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-bench-'));
  try {
    const script = join(folder, 'upload.lua');
    await writeFile(script, `wrk.method = 'POST'\nwrk.body = string.rep('x', ${bytes})\n`);
    return await wrk([...args, '-s', script, url]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function wrk(args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('wrk', [...args])).stdout;
}

/** About 1 KB of what a browser sends with every request. */
export const browserHeaders: readonly (readonly [string, string])[] = [
  [
    'User-Agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
  ['Accept-Language', 'ru,en-US;q=0.8,en;q=0.6,hr;q=0.4'],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['Referer', 'https://wiki.example.test/spaces/engineering/pages/1048576'],
  ['Sec-Fetch-Dest', 'document'],
  ['Sec-Fetch-Mode', 'navigate'],
  ['Sec-Fetch-Site', 'same-origin'],
  ['Upgrade-Insecure-Requests', '1'],
];

/** Cookies of applications beside ours. */
export const otherCookies =
  'theme=dark; _ga=GA1.2.1234567890.1700000000; JSESSIONID=0123456789ABCDEF0123456789ABCDEF';

/** A gateway in processes of its own, so that its memory and processor time can be told from those of the attack. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { availableParallelism, loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { until } from '#test/support/until.ts';
import { type Rig, Site } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { siteConfig } from './site.ts';

export interface LoadTarget extends AsyncDisposable {
  readonly site: Site;
  readonly gateway: GatewayProcess;
  readonly workerPid: number;
  readonly upstreamUrl: string;
  /** Resident memory of the worker. */
  rssMb(): number;
  /** Processor time of the worker since its start. */
  cpuMs(): number;
}

export async function startLoadTarget(
  rig: Rig,
  more: Record<string, unknown> = {},
  upstreamUrl?: string,
  within?: readonly string[],
): Promise<LoadTarget> {
  const { slapd, upstream } = await rig.servers();
  const applicationUrl = upstreamUrl ?? upstream.url;
  const config = await siteConfig({ upstream: applicationUrl, directories: [slapd.url] }, {});
  const gateway = await startGatewayProcess(
    {
      ...config,
      ...more,
      server: {
        ...config.server,
        workers: 1,
        // One machine attacks here; the rows are about many.
        limits: { connectionsPerAddress: 'off' },
        ...(more['server'] as object | undefined),
      },
    },
    undefined,
    within,
  );
  const primary = gateway.child.pid ?? 0;
  const workerPid = await until(() => childrenOf(primary)[0], { what: 'a worker' });
  const site = new Site({
    port: gateway.port,
    get logText() {
      return gateway.logs.map((line) => `${JSON.stringify(line)}\n`).join('');
    },
    metrics: async () => await (await fetch(`http://127.0.0.1:${gateway.managementPort}/metrics`)).text(),
    report: async () => await Promise.reject(new Error('asked over the management listener instead')),
  });
  return {
    site,
    gateway,
    workerPid,
    upstreamUrl: applicationUrl,
    rssMb: () =>
      Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${workerPid}/status`, 'utf8'))?.[1]) / 1_024,
    cpuMs: () => {
      // After the name in parentheses come the fields from the third on; 14 and 15 are user and system time.
      const fields = readFileSync(`/proc/${workerPid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
    },
    [Symbol.asyncDispose]: async () => await gateway[Symbol.asyncDispose](),
  };
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => {
      try {
        return readFileSync(`/proc/${candidate}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch (error) {
        // It ended meanwhile.
        if (
          (error as NodeJS.ErrnoException).code === 'ENOENT' ||
          (error as NodeJS.ErrnoException).code === 'ESRCH'
        )
          return false;
        throw error;
      }
    });
}

/** Limits of time are those of a machine with nothing else to do; tests of other files run beside this one. */
export function onThisMachine(limitMs: number): number {
  const [perMinute = 0] = loadavg();
  return limitMs * Math.max(1, (3 * perMinute) / availableParallelism());
}

/** A measurement outside its limits. */
export class Outlier extends Error {
  override readonly name = 'Outlier';
}

/** Measures again, twice at most: another process may have had the machine just then, but hardly three times. */
export function measuredAgain(story: Story): Story {
  return async (row, rig) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await story(row, rig);
        return;
      } catch (error) {
        if (!(error instanceof Outlier) || attempt === 3) throw error;
      }
    }
  };
}

export interface ProbeReport {
  /** Statuses other than 200; 0: no answer. */
  readonly errors: readonly number[];
  readonly p99Ms: number;
  /** Of the same requests to the application without the gateway. */
  readonly directP99Ms: number;
  readonly sent: number;
}

export interface Probe extends AsyncDisposable {
  /** Ends it and says what it saw. */
  stop(): Promise<ProbeReport>;
}

/**
 * Ten requests a second with a session, beside the attack; from a thread that the attack does not keep busy.
 * `secureTicket`: of a session, where the gateway speaks TLS.
 */
export async function startProbe(
  { site, upstreamUrl }: Pick<LoadTarget, 'site' | 'upstreamUrl'>,
  secureTicket?: string,
): Promise<Probe> {
  const ticket = secureTicket ?? (await site.ticketOf('alice'));
  const thread = new Worker(new URL('./probe-thread.ts', import.meta.url), {
    workerData: {
      port: site.gateway.port,
      ticket,
      upstreamPort: Number(new URL(upstreamUrl).port),
      isSecure: secureTicket !== undefined,
    },
  });
  await once(thread, 'message');
  return {
    stop: async () => {
      const report = once(thread, 'message');
      thread.postMessage('stop');
      const [seen] = (await report) as [ProbeReport];
      return seen;
    },
    [Symbol.asyncDispose]: async () => void (await thread.terminate()),
  };
}

/** Connections of an attacker: how many the gateway still keeps. */
export class AttackSockets implements Disposable {
  readonly #open = new Set<Socket>();

  async open(port: number, count: number, begin: (socket: Socket, index: number) => void): Promise<void> {
    for (let at = 0; at < count; at += 200) {
      await Promise.all(
        Array.from({ length: Math.min(200, count - at) }, async (_, i) => {
          const socket = connect({ port, host: '127.0.0.1' });
          this.#open.add(socket);
          socket.on('error', () => socket.destroy());
          socket.on('end', () => socket.destroy());
          socket.on('close', () => this.#open.delete(socket));
          socket.resume();
          const { promise, resolve } = Promise.withResolvers<void>();
          socket.once('connect', () => {
            begin(socket, at + i);
            resolve();
          });
          socket.once('close', () => resolve());
          await promise;
        }),
      );
    }
  }

  get size(): number {
    return this.#open.size;
  }

  writeAll(bytes: string): void {
    for (const socket of this.#open) socket.write(bytes);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#open) socket.destroy();
  }
}

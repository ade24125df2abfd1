/** A real name server (dnsmasq) on a free loopback port that knows the records a test gives it, and nothing else. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '#test/support/free-port.ts';
import { type Daemon, startDaemon, startSomewhere } from './daemon.ts';

export interface ServiceRecord {
  /** `_ldaps._tcp.example.test` */
  readonly record: string;
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
}

export interface NameServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`, for `Resolver.setServers`. */
  readonly address: string;
  /** Forgets all records and knows these. */
  serve(records: readonly ServiceRecord[]): Promise<void>;
  /** Answers nothing any more, until `serve`. */
  kill(): Promise<void>;
}

const path = '/usr/sbin/dnsmasq';

export async function startNameServer(records: readonly ServiceRecord[]): Promise<NameServer> {
  if (!existsSync(path)) throw new Error('dnsmasq is missing: apt-get install dnsmasq-base');
  const folder = await mkdtemp(join(tmpdir(), 'vratar-dns-'));
  let port = 0;
  let daemon: Daemon | undefined;
  const launch = async (known: readonly ServiceRecord[]): Promise<void> => {
    await daemon?.[Symbol.asyncDispose]();
    daemon = await startDaemon({
      command: path,
      args: [
        '--keep-in-foreground',
        '--conf-file=/dev/null',
        '--no-resolv',
        '--no-hosts',
        '--user=',
        `--pid-file=${join(folder, 'pid')}`,
        `--port=${port}`,
        '--listen-address=127.0.0.1',
        '--bind-interfaces',
        // The domains are ours alone: what is not there does not exist.
        '--local=/test/localhost/',
        ...known.map(
          ({ record, target, port: at, priority = 0, weight = 0 }) =>
            `--srv-host=${record},${target},${at},${priority},${weight}`,
        ),
      ],
      logFile: join(folder, 'log'),
      host: '127.0.0.1',
      port,
    });
  };
  await startSomewhere(async () => {
    port = await freePort();
    await launch(records);
  });
  return {
    address: `127.0.0.1:${port}`,
    serve: launch,
    kill: async () => {
      await daemon?.[Symbol.asyncDispose]();
      daemon = undefined;
    },
    async [Symbol.asyncDispose]() {
      await daemon?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

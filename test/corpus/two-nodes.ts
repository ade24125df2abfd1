/** Two workers over one store, with a link to it that can be cut: what "another node" and "the store is away" mean here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeWorker } from '#src/compose.ts';
import { composeHub, composeKeyRing } from '#src/compose-primary.ts';
import { loadConfig } from '#src/config/load.ts';
import { type Clock, systemClock } from '#src/lib/clock.ts';
import { createLogger } from '#src/observability/logger.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { type Channel, createChannelPair } from '#src/state/channel.ts';
import { Site } from './rig.ts';

export interface TwoNodes extends AsyncDisposable {
  readonly first: Site;
  readonly second: Site;
  readonly logText: string;
  /** Between both nodes and the store. */
  isCut: boolean;
}

export async function startTwoNodes(
  config: Record<string, unknown> & { server: Record<string, unknown> },
  clock: Clock = systemClock,
): Promise<TwoNodes> {
  const resources = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'vratar-nodes-'));
  resources.defer(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'vratar.yaml');
  const server = { ...config.server, listen: '127.0.0.1:0' };
  const whole = {
    ...config,
    server,
    management: { listen: '127.0.0.1:0' },
    state: { directory: join(folder, 'data') },
  };
  writeFileSync(file, JSON.stringify(whole));
  const loaded = loadConfig(file, { env: {} });
  const lines: string[] = [];
  const logger = createLogger({ level: 'debug', sink: { write: (line) => void lines.push(line) } });
  const metrics = new Metrics();
  const surroundings = { logger, metrics, clock };
  const hub = resources.use(composeHub(loaded.config, surroundings));
  const keys = composeKeyRing(loaded.config, surroundings);
  const link = { isCut: false };
  const startNode = async (): Promise<Site> => {
    const [hubEnd, workerEnd] = createChannelPair();
    hub.attach(hubEnd);
    const worker = resources.use(
      await composeWorker({
        ...surroundings,
        config: loaded.config,
        channel: severable(workerEnd, link),
        generatedHashes: new Map(),
        keyRing: keys.ring,
      }),
    );
    if (worker.address.kind !== 'tcp') throw new Error('a node listens on TCP');
    return new Site({
      port: worker.address.port,
      get logText() {
        return lines.join('');
      },
      metrics: async () => (await metrics.expose()).body,
      report: async () => await worker.report(),
    });
  };
  const [first, second] = [await startNode(), await startNode()];
  return {
    first,
    second,
    get logText() {
      return lines.join('');
    },
    get isCut() {
      return link.isCut;
    },
    set isCut(isCut) {
      link.isCut = isCut;
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

/** What is posted while the link is cut is lost, in both directions, and nobody is told. */
function severable(channel: Channel, link: { readonly isCut: boolean }): Channel {
  return {
    post: (subject, body) => {
      if (!link.isCut) channel.post(subject, body);
    },
    on: (subject, listener) =>
      channel.on(subject, (body) => {
        if (!link.isCut) listener(body);
      }),
    onClose: (listener) => channel.onClose(listener),
    [Symbol.dispose]: () => channel[Symbol.dispose](),
  };
}

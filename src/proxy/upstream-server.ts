/**
 * One server of an application: its connections, and whether it works. A server that cannot be connected to three
 * times in a row gets no requests until a trial of our own succeeds.
 */
import { readFileSync } from 'node:fs';
import { connect, isIP } from 'node:net';
import { buildConnector, type Dispatcher, Pool } from 'undici';
import { CircuitBreaker } from '../lib/circuit-breaker.ts';
import type { Logger } from '../observability/logger.ts';
import { HealthQuestion } from './health-question.ts';
import type { ProxyOptions } from './options.ts';

const failuresBeforeOpening = 3;
const retryMs = [250, 500, 1_000, 2_000];

export interface UpstreamServerOptions {
  readonly application: string;
  /** `http(s)://host[:port]` or `unix:/path`. */
  readonly address: string;
  readonly proxy: ProxyOptions;
  readonly logger: Logger;
}

export class UpstreamServer implements AsyncDisposable {
  readonly address: string;
  /** What its own Host header would be. */
  readonly authority: string;
  /** Requests that wait or are under way, and open tunnels; counted by whoever sends them. */
  inFlight = 0;
  /** Of these, what needs no connection of the pool any more. */
  tunnels = 0;
  /** The name a certificate must be for; `undefined`: no TLS. */
  readonly #verifiedName: string | undefined;
  readonly #pool: Pool;
  readonly #connections: number;
  readonly #circuit: CircuitBreaker;
  readonly #questions: NodeJS.Timeout | undefined;

  constructor({ application, address, proxy, logger }: UpstreamServerOptions) {
    this.address = address;
    const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
    const origin = new URL(socketPath === undefined ? address : 'http://localhost');
    this.authority = origin.host;
    const isSecure = origin.protocol === 'https:';
    this.#verifiedName = isSecure ? (proxy.tls.serverName ?? withoutBrackets(origin.hostname)) : undefined;
    const { timeouts, connections, health } = proxy;
    this.#connections = connections;
    this.#pool = new Pool(origin, {
      connections,
      pipelining: 1,
      connect: connector(this.#verifiedName, {
        timeout: timeouts.connect,
        ...(socketPath === undefined ? {} : { socketPath }),
        ...(this.#verifiedName === undefined ? {} : identityOf(proxy.tls)),
      }),
      headersTimeout: timeouts.head,
      bodyTimeout: timeouts.idle,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 65_536,
      // A second answer on a kept connection must never reach another request.
      strictContentLength: true,
    });
    const question = health === undefined ? undefined : new HealthQuestion(this.#pool, origin.host, health);
    const fields = { application, server: address };
    this.#circuit = new CircuitBreaker({
      failureThreshold: failuresBeforeOpening,
      retryMs,
      slowRetryMs: retryMs,
      isSlow: () => false,
      attempt: async () =>
        await (question === undefined ? tryToConnect(origin, socketPath, timeouts.connect) : question.ask()),
      onOpen: (error) => logger.warn('upstream.unavailable', { ...fields, error }),
      onClose: () => logger.info('upstream.available', fields),
    });
    if (question !== undefined && health !== undefined) {
      this.#questions = setInterval(() => void this.#inquire(question), health.interval).unref();
    }
  }

  get isAvailable(): boolean {
    return !this.#circuit.isOpen;
  }

  /** Requests that wait for a connection. (The pool's own statistics go through all of its connections at each look.) */
  get waiting(): number {
    return Math.max(0, this.inFlight - this.tunnels - this.#connections);
  }

  dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(
      // undici would take the Host of each request for the server's name, and end its connections when it changes.
      this.#verifiedName === undefined
        ? request
        : ({ ...request, servername: this.#verifiedName } as Dispatcher.DispatchOptions),
      handler,
    );
  }

  /** It answered something. */
  succeeded(): void {
    this.#circuit.success();
  }

  /** It could not be connected to. */
  failed(error: unknown): void {
    this.#circuit.failure(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#questions);
    this.#circuit[Symbol.dispose]();
    await this.#pool.destroy();
  }

  async #inquire(question: HealthQuestion): Promise<void> {
    if (this.#circuit.isOpen) return;
    try {
      await question.ask();
    } catch (error) {
      // Asked once more before it loses all requests: one answer may be lost in a restart of something else.
      await question.ask().catch(() => this.#circuit.open(error));
    }
  }
}

/** An address is verified as an address; as a name in the handshake it is not allowed (RFC 6066 section 3). */
function connector(name: string | undefined, options: buildConnector.BuildOptions): buildConnector.connector {
  const connectTo = buildConnector(options);
  const servername = name === undefined || isIP(name) !== 0 ? '' : name;
  return (target, done) => connectTo({ ...target, servername }, done);
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function identityOf({ caFile, certificateFile, keyFile }: ProxyOptions['tls']): object {
  return {
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
    ...(certificateFile === undefined ? {} : { cert: readFileSync(certificateFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
    rejectUnauthorized: true,
  };
}

async function tryToConnect(
  { hostname, port, protocol }: URL,
  path: string | undefined,
  timeoutMs: number,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const host = withoutBrackets(hostname);
    const socket = connect(
      path === undefined ? { host, port: Number(port || (protocol === 'https:' ? 443 : 80)) } : { path },
    );
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('the server did not accept in time')));
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

/**
 * One server of an application: its connections, and whether it works. A server that cannot be connected to three
 * times in a row gets no requests until a trial of our own succeeds.
 */
import { GatewayError } from '../errors.ts';
import { CircuitBreaker } from '../lib/circuit-breaker.ts';
import { TlsContext } from '../lib/tls-context.ts';
import type { Logger } from '../observability/logger.ts';
import { HealthQuestion } from './health-question.ts';
import { Connector, type ServerAddress } from './http1/connect.ts';
import type { Asker, ServerRequest } from './http1/connection.ts';
import { ConnectionPool } from './http1/connection-pool.ts';
import type { ProxyOptions } from './options.ts';

const failuresBeforeOpening = 3;
const retryMs = [250, 500, 1_000, 2_000];
/** Of a connection without a request. */
const keptMs = 30_000;

export interface UpstreamServerOptions {
  readonly application: string;
  /** `http(s)://host[:port]` or `unix:/path`. */
  readonly address: string;
  readonly proxy: ProxyOptions;
  readonly logger: Logger;
}

export class UpstreamServer implements Disposable {
  readonly address: string;
  /** What its own Host header would be. */
  readonly authority: string;
  /** Requests that wait or are under way, and open tunnels; counted by whoever sends them. */
  inFlight = 0;
  /** Of these, what needs no connection of the pool any more. */
  tunnels = 0;
  readonly #pool: ConnectionPool;
  readonly #connections: number;
  readonly #circuit: CircuitBreaker;
  readonly #question: HealthQuestion | undefined;
  readonly #questions: NodeJS.Timeout | undefined;

  constructor({ application, address, proxy, logger }: UpstreamServerOptions) {
    this.address = address;
    const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
    const origin = new URL(socketPath === undefined ? address : 'http://localhost');
    this.authority = origin.host;
    const { timeouts, connections, health } = proxy;
    const connector = new Connector(addressOf(origin, socketPath, proxy.tls), timeouts.connect);
    this.#connections = connections;
    this.#pool = new ConnectionPool({
      connector,
      connections,
      timeouts: { head: timeouts.head, idle: timeouts.idle, kept: keptMs },
    });
    const question = health === undefined ? undefined : new HealthQuestion(connector, origin.host, health);
    this.#question = question;
    const fields = { application, server: address };
    this.#circuit = new CircuitBreaker({
      failureThreshold: failuresBeforeOpening,
      retryMs,
      slowRetryMs: retryMs,
      isSlow: () => false,
      attempt: async () => await (question === undefined ? tryToConnect(connector) : question.ask()),
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

  /** Requests that wait for a connection. */
  get waiting(): number {
    return Math.max(0, this.inFlight - this.tunnels - this.#connections);
  }

  ask(request: ServerRequest, asker: Asker): void {
    this.#pool.ask(request, asker);
  }

  withdraw(asker: Asker): void {
    this.#pool.withdraw(asker);
  }

  /** It answered something. */
  succeeded(): void {
    this.#circuit.success();
  }

  /** It could not be connected to. */
  failed(error: unknown): void {
    this.#circuit.failure(error);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#questions);
    this.#circuit[Symbol.dispose]();
    this.#pool.close(new GatewayError('UPSTREAM_RESET', 'the gateway ends'));
    this.#question?.[Symbol.dispose]();
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

/** Where `origin` is, or the unix socket at `path`. */
function addressOf(
  { hostname, protocol, port }: URL,
  path: string | undefined,
  tls: ProxyOptions['tls'],
): ServerAddress {
  const host = hostname.replace(/^\[|\]$/g, '');
  const isSecure = protocol === 'https:';
  return {
    host,
    port: Number(port || (isSecure ? 443 : 80)),
    path,
    tls: isSecure ? { name: tls.serverName ?? host, context: new TlsContext(tls) } : undefined,
  };
}

async function tryToConnect(connector: Connector): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    connector.connect(undefined, (error, socket) => {
      socket?.destroy();
      if (error === null) resolve();
      else reject(error);
    });
  });
}

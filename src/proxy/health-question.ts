/** The question whether a server works: one request for a path that the operator named. */
import { GatewayError } from '../errors.ts';
import type { AnswerHead } from './http1/answer-head.ts';
import type { Connector } from './http1/connect.ts';
import type { Asker, Connection } from './http1/connection.ts';
import { ConnectionPool } from './http1/connection-pool.ts';
import type { ProxyOptions } from './options.ts';

type HealthOptions = NonNullable<ProxyOptions['health']>;

/** Of the answer's body: what comes beyond is not waited for. */
const maxBytes = 65_536;

export class HealthQuestion implements Disposable {
  /** A connection of its own: a server that is busy with requests still works. */
  readonly #pool: ConnectionPool;
  readonly #authority: string;
  readonly #options: HealthOptions;

  constructor(connector: Connector, authority: string, options: HealthOptions) {
    const { timeout, interval } = options;
    const timeouts = { head: timeout, idle: timeout, kept: 2 * interval };
    this.#pool = new ConnectionPool({ connector, connections: 1, timeouts });
    this.#authority = authority;
    this.#options = options;
  }

  /** Rejects unless the answer is 200 to 399 and comes in time. */
  async ask(): Promise<void> {
    const { path, timeout } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const asker = new HealthAsker(resolve, reject);
    const timer = setTimeout(() => {
      this.#pool.withdraw(asker);
      asker.giveUp(new GatewayError('UPSTREAM_TIMEOUT', 'the health path did not answer in time'));
    }, timeout);
    this.#pool.ask(
      {
        method: 'GET',
        path,
        headers: ['Host', this.#authority, 'User-Agent', 'vratar-health'],
        body: null,
        bodyLength: 0,
        isUpgrade: false,
      },
      asker,
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  [Symbol.dispose](): void {
    this.#pool.close(new GatewayError('UPSTREAM_RESET', 'the gateway ends'));
  }
}

class HealthAsker implements Asker {
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #connection: Connection | undefined;
  #status = 0;
  #bytes = 0;
  #isGivenUp = false;

  constructor(resolve: () => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  giveUp(error: Error): void {
    this.#isGivenUp = true;
    this.#reject(error);
    this.#connection?.abort(this, error);
  }

  onSending(connection: Connection): boolean {
    this.#connection = connection;
    return !this.#isGivenUp;
  }

  onHead({ status }: AnswerHead): void {
    this.#status = status;
  }

  onData(content: Buffer): void {
    this.#bytes += content.length;
    if (this.#bytes <= maxBytes) return;
    this.onEnd();
    this.#connection?.abort(this, new Error('the answer of the health path is too long'));
  }

  onEnd(): void {
    if (this.#status < 400) this.#resolve();
    else this.#reject(new Error(`the health path answered ${this.#status}`));
  }

  onUpgraded(): void {
    this.onFailed(new Error('the health path changed the protocol'));
  }

  onFailed(error: Error): void {
    this.#reject(error);
  }
}

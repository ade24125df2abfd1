/** The question whether a server works: one request for a path that the operator named. */
import type { Pool } from 'undici';
import type { ProxyOptions } from './options.ts';

export class HealthQuestion {
  readonly #pool: Pool;
  readonly #authority: string;
  readonly #options: NonNullable<ProxyOptions['health']>;

  constructor(pool: Pool, authority: string, options: NonNullable<ProxyOptions['health']>) {
    this.#pool = pool;
    this.#authority = authority;
    this.#options = options;
  }

  /** Rejects unless the answer is 200 to 399 and comes in time. */
  async ask(): Promise<void> {
    const { path, timeout } = this.#options;
    const { statusCode, body } = await this.#pool.request({
      method: 'GET',
      path,
      headers: { host: this.#authority, 'user-agent': 'vratar-health' },
      signal: AbortSignal.timeout(timeout),
    });
    await body.dump({ limit: 65_536, signal: AbortSignal.timeout(timeout) });
    if (statusCode < 200 || statusCode > 399) throw new Error(`the health path answered ${statusCode}`);
  }
}

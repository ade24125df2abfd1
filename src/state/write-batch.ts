/**
 * Collects the writes of a moment into one transaction, so that a burst costs one commit (and one disk sync) instead
 * of hundreds. A caller hears of its write once that is committed, never before.
 */
import type { DatabaseSync } from 'node:sqlite';
import { toStoreError } from './sqlite-file.ts';

interface Write {
  readonly run: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class WriteBatch implements Disposable {
  readonly #database: DatabaseSync;
  readonly #delayMs: number;
  #writes: Write[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(database: DatabaseSync, delayMs: number) {
    this.#database = database;
    this.#delayMs = delayMs;
  }

  /** Runs `write` with the next commit. Throws GatewayError SESSION_STORE_UNAVAILABLE when it cannot be committed. */
  async add<Result>(write: () => Result): Promise<Result> {
    return await new Promise<Result>((resolve, reject) => {
      this.#writes.push({ run: write, resolve: resolve as (result: unknown) => void, reject });
      this.#timer ??= setTimeout(() => this.flush(), this.#delayMs);
    });
  }

  /** Commits now what has been collected. Failures reach those who added the writes. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const writes = this.#writes;
    if (writes.length === 0) return;
    this.#writes = [];
    let results: unknown[];
    try {
      results = this.#commit(writes);
    } catch (error) {
      const storeError = toStoreError(error);
      for (const { reject } of writes) reject(storeError);
      return;
    }
    for (const [index, { resolve }] of writes.entries()) resolve(results[index]);
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  #commit(writes: readonly Write[]): unknown[] {
    this.#database.exec('begin immediate');
    try {
      const results = writes.map(({ run }) => run());
      this.#database.exec('commit');
      return results;
    } catch (error) {
      // A full disk may have rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }
}

/**
 * Stops asking something that does not answer and tries it again by itself, ever more rarely.
 * Only the trial closes it: no caller's request is used as a guinea pig.
 */

export interface CircuitBreakerOptions {
  /** Consecutive failures that open it. */
  readonly failureThreshold: number;
  /** Waits before the trials after opening; the last one repeats. Each is spread by 20 %. */
  readonly retryMs: readonly number[];
  /** The same for failures that time does not heal: refused service account, wrong certificate. */
  readonly slowRetryMs: readonly number[];
  readonly isSlow: (cause: unknown) => boolean;
  /** Resolves when the thing works again. */
  readonly attempt: () => Promise<void>;
  /** Called once per change, not per failed trial; again when the cause changes its class (`isSlow`). */
  readonly onOpen: (cause: unknown) => void;
  readonly onClose: () => void;
}

export class CircuitBreaker implements Disposable {
  readonly #options: CircuitBreakerOptions;
  #failures = 0;
  #trials = 0;
  #cause: unknown;
  #timer: NodeJS.Timeout | undefined;
  #retryAt = 0;
  #isOpen = false;
  #isDisposed = false;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** What opened it, or the last trial's failure. */
  get cause(): unknown {
    return this.#cause;
  }

  /** Milliseconds until the next trial; 0 when closed or trying now. */
  get retryInMs(): number {
    return this.#isOpen ? Math.max(0, this.#retryAt - performance.now()) : 0;
  }

  success(): void {
    this.#failures = 0;
  }

  failure(cause: unknown): void {
    this.#failures++;
    if (this.#failures >= this.#options.failureThreshold) this.open(cause);
  }

  open(cause: unknown): void {
    if (this.#isOpen || this.#isDisposed) return;
    this.#isOpen = true;
    this.#trials = 0;
    this.#cause = cause;
    this.#schedule();
    this.#options.onOpen(cause);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    const { isSlow, retryMs, slowRetryMs } = this.#options;
    const waits = isSlow(this.#cause) ? slowRetryMs : retryMs;
    const wait = waits[Math.min(this.#trials, waits.length - 1)] ?? 0;
    const spread = wait * (0.8 + Math.random() * 0.4);
    this.#trials++;
    this.#retryAt = performance.now() + spread;
    this.#timer = setTimeout(() => void this.#try(), spread).unref();
  }

  async #try(): Promise<void> {
    try {
      await this.#options.attempt();
    } catch (error) {
      if (this.#isDisposed) return;
      const { isSlow, onOpen } = this.#options;
      const changed = isSlow(error) !== isSlow(this.#cause);
      this.#cause = error;
      if (changed) {
        this.#trials = 0;
        onOpen(error);
      }
      this.#schedule();
      return;
    }
    if (this.#isDisposed) return;
    this.#isOpen = false;
    this.#failures = 0;
    this.#cause = undefined;
    this.#options.onClose();
  }
}

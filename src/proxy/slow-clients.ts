/**
 * Clients that hold an application up: bodies that trickle in, and answers nobody reads. One timer looks at all of
 * them; what then becomes of a request is its owner's concern.
 */
import type { IncomingMessage } from 'node:http';

export interface SlowClientsOptions {
  /** Least bytes of a body in each `withinMs`; `off`: as slow as the connection lives. */
  readonly bodyRate: 'off' | { readonly atLeast: number; readonly within: number };
  readonly unreadAnswerMs: number;
}

/** One body on its way. */
interface Upload {
  readonly request: IncomingMessage;
  readonly onSlow: () => void;
  windowBeganAt: number;
  windowBytes: number;
  /** The application did not take what was there: its own pace says nothing about the client. */
  isHeldBack: boolean;
}

/** An answer that may have to wait for its client. */
export interface Unread {
  /** When it began to wait. */
  sinceMs: number;
  readonly onForgotten: () => void;
}

const looksPerPeriod = 4;
const maxLookMs = 5_000;

export class SlowClients implements Disposable {
  readonly #options: SlowClientsOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #uploads = new Set<Upload>();
  readonly #unread = new Set<Unread>();

  constructor(options: SlowClientsOptions) {
    this.#options = options;
    const { bodyRate, unreadAnswerMs } = options;
    const shortest = Math.min(unreadAnswerMs, bodyRate === 'off' ? maxLookMs : bodyRate.within);
    this.#timer = setInterval(
      () => this.#look(performance.now()),
      Math.min(maxLookMs, shortest / looksPerPeriod),
    );
    this.#timer.unref();
  }

  /** Calls `onSlow` at most once. Time counts from the moment somebody reads the body. */
  watchBody(request: IncomingMessage, onSlow: () => void): void {
    if (this.#options.bodyRate === 'off') return;
    const upload: Upload = { request, onSlow, windowBeganAt: 0, windowBytes: 0, isHeldBack: false };
    // A listener for data would begin to read: it is added when somebody else has.
    request.once('resume', () => {
      upload.windowBeganAt = performance.now();
      this.#uploads.add(upload);
      request.on('data', (chunk: Buffer) => (upload.windowBytes += chunk.length));
      request.on('pause', () => (upload.isHeldBack = true));
    });
    const forget = (): void => void this.#uploads.delete(upload);
    request.once('end', forget);
    request.once('close', forget);
  }

  /** Hot path: `bench/proxy.ts`. The client takes nothing any more; calls `onForgotten` unless `taken` is in time. */
  leftUnread(unread: Unread): void {
    unread.sinceMs = performance.now();
    this.#unread.add(unread);
  }

  taken(unread: Unread): void {
    this.#unread.delete(unread);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(nowMs: number): void {
    const { bodyRate, unreadAnswerMs } = this.#options;
    for (const unread of this.#unread) {
      if (nowMs - unread.sinceMs < unreadAnswerMs) continue;
      this.#unread.delete(unread);
      unread.onForgotten();
    }
    if (bodyRate === 'off') return;
    for (const upload of this.#uploads) {
      if (nowMs - upload.windowBeganAt < bodyRate.within) continue;
      const isSlow = upload.windowBytes < bodyRate.atLeast && !upload.isHeldBack;
      upload.windowBeganAt = nowMs;
      upload.windowBytes = 0;
      upload.isHeldBack = upload.request.isPaused();
      if (!isSlow) continue;
      this.#uploads.delete(upload);
      upload.onSlow();
    }
  }
}

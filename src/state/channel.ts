/**
 * Ordered messages between the primary and a worker, sorted by subject so that several parts share one connection.
 * Knows neither what is said nor whether it arrives: that is the business of calls.ts and its deadlines.
 */

export interface Channel extends Disposable {
  /** Never throws: what cannot be delivered is missed by whoever waits for an answer. */
  post(subject: string, body: unknown): void;
  /** Messages of one subject, in the order they were posted. Returns the unsubscriber. */
  on(subject: string, listener: (body: unknown) => void): () => void;
  /** The other side is gone. Called at most once. */
  onClose(listener: () => void): () => void;
}

/** One subject of a channel with its types: what this side sends, and what it receives. */
export interface Topic<Sent, Received> {
  post(message: Sent): void;
  on(listener: (message: Received) => void): () => void;
}

/** Both sides come from the same installation, so a message of a subject has the type agreed for it. */
export function openTopic<Sent, Received>(channel: Channel, subject: string): Topic<Sent, Received> {
  return {
    post: (message) => channel.post(subject, message),
    on: (listener) => channel.on(subject, (body) => listener(body as Received)),
  };
}

/**
 * The part of `process` (in a worker) and of a child process (in the primary, `worker.process`) that carries messages.
 * Fork with `serialization: 'advanced'`.
 */
export interface ProcessEndpoint {
  readonly connected: boolean;
  send?(message: object, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
  off(event: 'message', listener: (message: unknown) => void): unknown;
  off(event: 'disconnect', listener: () => void): unknown;
}

export function createProcessChannel(endpoint: ProcessEndpoint): Channel {
  const subscribers = new Subscribers();
  const receive = (message: unknown): void => {
    if (isEnvelope(message)) subscribers.deliver(message);
  };
  const close = (): void => subscribers.close();
  endpoint.on('message', receive);
  endpoint.on('disconnect', close);
  return {
    post: (subject, body) => {
      if (!endpoint.connected) return;
      endpoint.send?.({ vratar: subject, body }, (error) => {
        if (error !== null) close();
      });
    },
    on: (subject, listener) => subscribers.add(subject, listener),
    onClose: (listener) => subscribers.addCloseListener(listener),
    [Symbol.dispose]: () => {
      endpoint.off('message', receive);
      endpoint.off('disconnect', close);
    },
  };
}

/** Two connected ends in one process. Messages are cloned and arrive later, as between processes. */
export function createChannelPair(): readonly [Channel, Channel] {
  const left = new Subscribers();
  const right = new Subscribers();
  const close = (): void => {
    left.close();
    right.close();
  };
  return [createEnd(left, right, close), createEnd(right, left, close)];
}

function createEnd(own: Subscribers, other: Subscribers, close: () => void): Channel {
  return {
    post: (subject, body) => {
      const envelope: Envelope = structuredClone({ vratar: subject, body });
      setImmediate(() => other.deliver(envelope));
    },
    on: (subject, listener) => own.add(subject, listener),
    onClose: (listener) => own.addCloseListener(listener),
    [Symbol.dispose]: close,
  };
}

/** The key tells our messages from those of others on the same connection. */
interface Envelope {
  readonly vratar: string;
  readonly body: unknown;
}

function isEnvelope(message: unknown): message is Envelope {
  return typeof message === 'object' && message !== null && 'vratar' in message && 'body' in message;
}

class Subscribers {
  readonly #listeners = new Map<string, Set<(body: unknown) => void>>();
  readonly #closeListeners = new Set<() => void>();
  #isClosed = false;

  add(subject: string, listener: (body: unknown) => void): () => void {
    const listeners = this.#listeners.get(subject) ?? new Set();
    this.#listeners.set(subject, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  addCloseListener(listener: () => void): () => void {
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  deliver({ vratar: subject, body }: Envelope): void {
    if (this.#isClosed) return;
    for (const listener of this.#listeners.get(subject) ?? []) listener(body);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const listener of this.#closeListeners) listener();
  }
}

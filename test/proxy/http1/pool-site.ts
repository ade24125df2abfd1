/** A pool of connections and a server whose bytes the test decides, with askers that remember all they are told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { GatewayError } from '#src/errors.ts';
import type { AnswerHead } from '#src/proxy/http1/answer-head.ts';
import { Connector } from '#src/proxy/http1/connect.ts';
import type { Asker, Connection, ConnectionTimeouts } from '#src/proxy/http1/connection.ts';
import { ConnectionPool } from '#src/proxy/http1/connection-pool.ts';
import { until } from '#test/support/until.ts';

/** One connection as the server sees it. */
export interface Accepted {
  readonly socket: Socket;
  /** What came, a character per byte. */
  received: string;
  /** Requests whose head came whole. */
  requests: number;
  isClosed: boolean;
}

/** Called for every head of a request. */
export type Answerer = (accepted: Accepted, path: string) => void | Promise<void>;

export type End = 'answered' | 'failed' | 'upgraded';

export class RecordingAsker implements Asker {
  /** Whether the request shall be sent when its turn comes. */
  isWanted = true;
  connection: Connection | undefined;
  head: AnswerHead | undefined;
  socket: Socket | undefined;
  error: (Error & { code?: unknown }) | undefined;
  end: End | undefined;
  readonly pieces: Buffer[] = [];
  /** What nobody may ever be told, or not in this order. */
  readonly breaches: string[] = [];
  /** Done in the middle of a callback. */
  readonly reactions: { [Callback in keyof Asker]?: () => void } = {};

  get body(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  /** How it ended. */
  async ended(): Promise<End> {
    await until(() => this.end, { what: 'the end of an answer', timeoutMs: 20_000 });
    return this.end as End;
  }

  onSending(connection: Connection): boolean {
    this.#hear('onSending', this.connection === undefined);
    this.connection = connection;
    return this.isWanted;
  }

  onHead(head: AnswerHead): void {
    this.#hear('onHead', this.connection !== undefined && this.head === undefined);
    this.head = head;
    this.reactions.onHead?.();
  }

  onData(content: Buffer): void {
    this.#hear('onData', this.head !== undefined && content.length > 0);
    this.pieces.push(Buffer.from(content));
    this.reactions.onData?.();
  }

  onEnd(last: Buffer | undefined): void {
    this.#hear('onEnd', this.head !== undefined);
    if (last !== undefined) this.pieces.push(Buffer.from(last));
    // Who throws did not hear it to the end.
    this.reactions.onEnd?.();
    this.end ??= 'answered';
  }

  onUpgraded(head: AnswerHead, socket: Socket): void {
    this.#hear('onUpgraded', this.head === undefined);
    this.head = head;
    this.socket = socket;
    this.reactions.onUpgraded?.();
    this.end ??= 'upgraded';
  }

  onFailed(error: Error): void {
    this.#hear('onFailed', true);
    this.error = error;
    this.end ??= 'failed';
    this.reactions.onFailed?.();
  }

  #hear(callback: string, isInOrder: boolean): void {
    if (!isInOrder || this.end !== undefined) this.breaches.push(`${callback}, ended: ${this.end}`);
  }
}

export interface Question {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly body?: Readable;
  readonly bodyLength?: number | 'chunked';
  readonly isUpgrade?: boolean;
}

export interface PoolSiteOptions {
  readonly connections?: number;
  readonly timeouts?: Partial<ConnectionTimeouts>;
  /** In place of one to the server. */
  readonly connector?: Connector;
}

export const closed = new GatewayError('UPSTREAM_RESET', 'the test is over');

export class PoolSite implements AsyncDisposable {
  readonly pool: ConnectionPool;
  readonly accepted: Accepted[] = [];
  readonly askers: RecordingAsker[] = [];
  readonly #server: Server;
  readonly #withdrawn = new Set<RecordingAsker>();

  private constructor(server: Server, answer: Answerer, options: PoolSiteOptions) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    server.on('connection', (socket: Socket) => this.#accept(socket, answer));
    this.pool = new ConnectionPool({
      connector: options.connector ?? new Connector({ host: '127.0.0.1', port }, 5_000),
      connections: options.connections ?? 8,
      timeouts: { head: 30_000, idle: 30_000, kept: 30_000, ...options.timeouts },
    });
  }

  static async start(answer: Answerer, options: PoolSiteOptions = {}): Promise<PoolSite> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PoolSite(server, answer, options);
  }

  /** How many connections are open, as the server sees it. */
  get open(): number {
    return this.accepted.filter(({ isClosed }) => !isClosed).length;
  }

  ask(question: Question = {}, asker = new RecordingAsker()): RecordingAsker {
    const { method = 'GET', path = '/', headers = ['Host', 'a'], body, isUpgrade = false } = question;
    this.askers.push(asker);
    const bodyLength = question.bodyLength ?? (body === undefined ? 0 : 'chunked');
    this.pool.ask({ method, path, headers, body: body ?? null, bodyLength, isUpgrade }, asker);
    return asker;
  }

  /** Asks, and waits for the end of the answer. */
  async answered(question: Question = {}): Promise<RecordingAsker> {
    const asker = this.ask(question);
    await asker.ended();
    return asker;
  }

  withdraw(asker: RecordingAsker): void {
    this.pool.withdraw(asker);
    this.#withdrawn.add(asker);
  }

  /** Ends everything, and asserts that every asker heard of one end, of all before it, and of nothing behind it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.pool.close(closed);
      for (const asker of this.askers) {
        if (this.#withdrawn.has(asker) || !asker.isWanted) assert.equal(asker.end, undefined);
        else await asker.ended();
      }
    } finally {
      for (const { socket } of this.askers) socket?.destroy();
      for (const { socket } of this.accepted) socket.destroy();
      this.#server.close();
    }
    await once(this.#server, 'close');
    assert.deepEqual(
      this.askers.flatMap(({ breaches }) => breaches),
      [],
    );
  }

  #accept(socket: Socket, answer: Answerer): void {
    const accepted: Accepted = { socket, received: '', requests: 0, isClosed: false };
    this.accepted.push(accepted);
    socket.on('error', () => undefined);
    socket.on('close', () => (accepted.isClosed = true));
    socket.on('end', () => (accepted.isClosed = true));
    socket.on('data', (bytes: Buffer) => {
      accepted.received += bytes.toString('latin1');
      const heads = accepted.received.match(requestHeads) ?? [];
      for (const head of heads.slice(accepted.requests)) {
        accepted.requests++;
        void answer(accepted, head.split(' ')[1] as string);
      }
    });
  }
}

const requestHeads = /(?:GET|HEAD|POST|PUT) \S+ HTTP\/1\.1\r\n(?:[^\r]+\r\n)*\r\n/g;

/** A whole answer. */
export function answerOf(body: string, ...fields: readonly string[]): string {
  return ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...fields, '', body].join('\r\n');
}

/** A body that comes byte by byte, and never ends by itself. */
export function trickle(): { body: Readable; stop: () => void } {
  const body = new PassThrough();
  const timer = setInterval(() => body.write('x'), 10);
  return { body, stop: () => clearInterval(timer) };
}

/** Resolves when what `count` says has not changed for a while. */
export async function still(count: () => number): Promise<number> {
  let before = -1;
  let times = 0;
  await until(() => {
    const now = count();
    times = now === before ? times + 1 : 0;
    before = now;
    return times >= 15;
  });
  return before;
}

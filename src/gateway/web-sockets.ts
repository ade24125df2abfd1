/**
 * The open WebSockets of this worker: each was decided before it was opened and is judged again while it lives. A
 * person who is signed out, or whom a rule no longer lets in, is told so by the close code within seconds.
 */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Exchange } from '../http/exchange.ts';
import type { Target } from '../http/target.ts';
import type { Upgrade } from '../http/upgrade.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { closeCodes, Tunnel } from '../proxy/tunnel.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { SessionLifecycle } from '../session/lifecycle.ts';
import type { Session } from '../session/session.ts';
import type { ProtectedApplication } from './application.ts';

/** A sign-out is to end a WebSocket within 5 s; the store pushes it within one. */
const judgedEveryMs = 2_000;

export interface WebSocketsOptions {
  readonly sessions: SessionLifecycle;
  readonly sessionCookie: SessionCookie;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface WebSocketOpening {
  readonly exchange: Exchange;
  readonly upgrade: Upgrade;
  readonly application: ProtectedApplication;
  readonly target: Target;
  /** Fields of the server's answer, without those of the connection. */
  readonly fields: readonly string[];
  readonly server: Duplex;
}

interface OpenSocket {
  readonly tunnel: Tunnel;
  readonly application: ProtectedApplication;
  readonly asked: {
    readonly method: 'GET';
    readonly readings: Target['readings'];
    readonly clientAddress: string;
    readonly hasEncodedSlash: boolean;
  };
  /** Of the session it was opened with; `undefined`: with none. */
  readonly ticket: string | undefined;
  seenMessages: number;
}

export class WebSockets implements Disposable {
  readonly #options: WebSocketsOptions;
  readonly #open = new Set<OpenSocket>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: WebSocketsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#judgeAll(), judgedEveryMs).unref();
  }

  /** Answers 101 and lets bytes pass. `false`: the server agreed to another request than this, nothing was answered. */
  open({ exchange, upgrade, application, target, fields, server }: WebSocketOpening): boolean {
    const { head, request, clientAddress } = exchange;
    if (valueOf(fields, 'sec-websocket-accept') !== acceptOf(request.headers['sec-websocket-key'] ?? '')) {
      server.destroy();
      return false;
    }
    const { sessionCookie, clock, metrics } = this.#options;
    const { socket } = upgrade;
    socket.write(switching(fields), 'latin1');
    if (upgrade.head.length > 0) socket.unshift(upgrade.head);
    const gauge = metrics.webSocketsOpen.labels({ application: application.options.name });
    const opened: OpenSocket = {
      tunnel: new Tunnel(
        {
          client: socket,
          server,
          onClosed: () => {
            this.#open.delete(opened);
            gauge.dec();
          },
        },
        clock.now(),
      ),
      application,
      asked: {
        method: 'GET',
        readings: target.readings,
        clientAddress,
        hasEncodedSlash: target.hasEncodedSlash,
      },
      ticket: application.acceptsSession ? sessionCookie.readTicket(head.cookie) : undefined,
      seenMessages: 0,
    };
    this.#open.add(opened);
    gauge.inc();
    upgrade.open({ end: () => opened.tunnel.end(closeCodes.goingAway) });
    return true;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const { tunnel } of this.#open) tunnel.cut();
  }

  #judgeAll(): void {
    const nowMs = this.#options.clock.now();
    for (const opened of this.#open) {
      this.#judge(opened, nowMs);
      opened.tunnel.keepAlive(nowMs);
    }
  }

  #judge(opened: OpenSocket, nowMs: number): void {
    const { sessions, logger } = this.#options;
    if (opened.ticket === undefined) return;
    const { clientMessages } = opened.tunnel;
    // What a page only receives does not keep its session alive; what it sends does.
    if (clientMessages !== opened.seenMessages) sessions.cached(opened.ticket, nowMs);
    opened.seenMessages = clientMessages;
    const session = sessions.peek(opened.ticket, nowMs);
    if (!(session instanceof Promise)) {
      this.#endUnlessAllowed(opened, session);
      return;
    }
    session.then(
      (loaded) => this.#endUnlessAllowed(opened, loaded),
      // Nobody can tell: it goes on, as other requests of people who are signed in do.
      (error: unknown) => logger.debug('web-socket.not-judged', { error }),
    );
  }

  #endUnlessAllowed({ application, asked, tunnel }: OpenSocket, session: Session | undefined): void {
    const view = application.view(session?.principal);
    if (application.decide(asked, view).kind !== 'allow') tunnel.end(closeCodes.policyViolation);
  }
}

function switching(fields: readonly string[]): string {
  let text = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function valueOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === name);
  return at < 0 ? undefined : fields[at + 1];
}

/** RFC 6455 section 4.2.2: the proof that the server read this request as one for a WebSocket. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

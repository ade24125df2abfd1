/**
 * One side of many WebSockets, in a process of its own: the application that accepts them or the browsers that open
 * them. Each socket says numbered messages and checks that the numbers it hears have no gap. Ordered about by IPC.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

export type Side = 'application' | 'browsers';

export type Order =
  | { readonly what: 'open'; readonly count: number; readonly url: string; readonly headers: Headers }
  | { readonly what: 'talk'; readonly everyMs: number }
  | { readonly what: 'hush' | 'report' };

type Headers = Readonly<Record<string, string>>;

export interface SideReport {
  /** Of the application only. */
  readonly port: number | undefined;
  readonly open: number;
  readonly closed: number;
  readonly sent: number;
  readonly heard: number;
  /** Messages that did not come where they belong: lost, doubled or out of order. */
  readonly gaps: number;
}

const openedAtOnce = 50;

class Talkers {
  port: number | undefined;
  readonly #sockets = new Set<WebSocket>();
  #closed = 0;
  #sent = 0;
  #heard = 0;
  #gaps = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #said = new Map<WebSocket, number>();

  add(socket: WebSocket): void {
    this.#sockets.add(socket);
    let last = 0;
    socket.on('message', (data: Buffer) => {
      this.#heard++;
      const number = Number(data.toString('latin1'));
      if (number !== last + 1) this.#gaps++;
      last = number;
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#closed++;
    });
  }

  async open(count: number, url: string, headers: Headers): Promise<void> {
    for (let opened = 0; opened < count; opened += openedAtOnce) {
      const batch = Array.from({ length: Math.min(openedAtOnce, count - opened) }, async () => {
        const socket = new WebSocket(url, { headers, perMessageDeflate: false });
        await once(socket, 'open');
        this.add(socket);
      });
      await Promise.all(batch);
    }
  }

  talk(everyMs: number): void {
    this.hush();
    // A tenth of them at a time, so that messages are on their way at any moment.
    let turn = 0;
    this.#timer = setInterval(() => {
      turn++;
      let i = 0;
      for (const socket of this.#sockets) if (i++ % 10 === turn % 10) this.#say(socket);
    }, everyMs / 10);
  }

  hush(): void {
    clearInterval(this.#timer);
  }

  report(): SideReport {
    return {
      port: this.port,
      open: this.#sockets.size,
      closed: this.#closed,
      sent: this.#sent,
      heard: this.#heard,
      gaps: this.#gaps,
    };
  }

  #say(socket: WebSocket): void {
    const number = (this.#said.get(socket) ?? 0) + 1;
    this.#said.set(socket, number);
    this.#sent++;
    socket.send(String(number));
  }
}

async function listen(talkers: Talkers): Promise<void> {
  const server = createServer((_request, response) => response.end('an application of WebSockets\n'));
  const acceptor = new WebSocketServer({ server, perMessageDeflate: false });
  acceptor.on('connection', (socket) => talkers.add(socket));
  await new Promise<void>((resolve) =>
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1_024 }, resolve),
  );
  talkers.port = (server.address() as AddressInfo).port;
}

async function obey(talkers: Talkers, order: Order): Promise<SideReport> {
  if (order.what === 'open') await talkers.open(order.count, order.url, order.headers);
  else if (order.what === 'talk') talkers.talk(order.everyMs);
  else if (order.what === 'hush') talkers.hush();
  return talkers.report();
}

if (import.meta.main) {
  const talkers = new Talkers();
  const side = process.argv[2] as Side;
  if (side === 'application') await listen(talkers);
  process.on('message', (order: Order) => {
    obey(talkers, order).then(
      (report) => process.send?.(report),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit());
}

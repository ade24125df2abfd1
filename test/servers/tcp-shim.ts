/**
 * A TCP relay that harms what passes: it records, delays, cuts into pieces, goes silent, resets. Sits between a client
 * and a real server, so that faults of the network need no doubles of our own code.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TcpShim extends AsyncDisposable {
  readonly port: number;
  /** Bytes that clients sent, of all connections. */
  readonly sent: Buffer;
  /** Open connections of clients. */
  readonly open: number;
  /** Accepted since the start. */
  readonly accepted: number;
  /** Answers come in pieces of one byte with this pause between them; 0 = as they are. */
  trickleMs: number;
  /** Every answer comes this much later. */
  delayMs: number;
  /** Nothing passes in either direction, and nobody is told: a cable pulled out. */
  isSilent: boolean;
  /** Bytes put behind the next answer of the server. */
  append: Buffer | undefined;
  /** A client's TLS handshake never reaches the server: the connection stays in the middle of it. */
  holdsHandshakes: boolean;
  /** Connections in the middle of a handshake that is held. */
  readonly held: number;
  /** RST on every connection. */
  reset(): void;
  /** The connections open now answer the next packet with RST, as a balancer that lost them; new ones work. */
  forget(): void;
  /** The connections open now go silent for good, as behind a firewall that forgot them; new ones work. */
  abandon(): void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  isAbandoned: boolean;
  isForgotten: boolean;
  isHeld: boolean;
}

/** First byte of a TLS record that carries a handshake (RFC 8446 section 5.1). */
const handshakeRecord = 22;

export async function startTcpShim(targetPort: number): Promise<TcpShim> {
  const pairs = new Set<Pair>();
  const sent: Buffer[] = [];
  let accepted = 0;
  const listener = createServer({ allowHalfOpen: false }, (client) => {
    accepted++;
    const server = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const pair: Pair = { client, server, isAbandoned: false, isForgotten: false, isHeld: false };
    pairs.add(pair);
    let queue = Promise.resolve();
    client.on('data', (chunk: Buffer) => {
      sent.push(chunk);
      if (pair.isForgotten) client.resetAndDestroy();
      if (shim.holdsHandshakes && chunk[0] === handshakeRecord) pair.isHeld = true;
      if (!pair.isHeld && !shim.isSilent && !pair.isAbandoned) server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (shim.isSilent || pair.isAbandoned) return;
      const whole = shim.append === undefined ? chunk : Buffer.concat([chunk, shim.append]);
      shim.append = undefined;
      const due = shim.delayMs === 0 ? undefined : sleep(shim.delayMs);
      queue = queue.then(async () => {
        await due;
        await deliver(client, whole, shim.trickleMs);
      });
    });
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on('close', end).on('error', end);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const shim = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get sent() {
      return Buffer.concat(sent);
    },
    get open() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    trickleMs: 0,
    delayMs: 0,
    isSilent: false,
    holdsHandshakes: false,
    get held() {
      return [...pairs].filter(({ isHeld }) => isHeld).length;
    },
    append: undefined as Buffer | undefined,
    reset() {
      for (const { client } of pairs) client.resetAndDestroy();
    },
    forget() {
      for (const pair of pairs) pair.isForgotten = true;
    },
    abandon() {
      for (const pair of pairs) pair.isAbandoned = true;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      await once(listener, 'close');
    },
  };
  return shim;
}

async function deliver(client: Socket, bytes: Buffer, trickleMs: number): Promise<void> {
  if (trickleMs === 0) {
    client.write(bytes);
    return;
  }
  for (const byte of bytes) {
    if (client.destroyed) return;
    client.write(Buffer.from([byte]));
    await new Promise((resolve) => setTimeout(resolve, trickleMs));
  }
}

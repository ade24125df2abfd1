/**
 * An open WebSocket between a client and a server: bytes pass both ways with back-pressure, and it can be ended from
 * here with a close code that the client sees. Knows neither who the client is nor why it ends.
 */
import type { Duplex } from 'node:stream';
import { FrameBoundary } from './frame-boundary.ts';

/** RFC 6455 section 7.4.1. */
export const closeCodes = { goingAway: 1001, policyViolation: 1008 } as const;

/** How long either side may take to end what was ended here. */
const endGraceMs = 1_000;
const askedAfterMs = 45_000;
const givenUpAfterMs = 50_000;
/** An empty ping; browsers answer it by themselves. */
const ping = Buffer.from([0x89, 0]);

export interface TunnelOptions {
  readonly client: Duplex;
  readonly server: Duplex;
  /** Called once, when both sides are closed. */
  readonly onClosed: () => void;
}

interface Direction {
  readonly from: Duplex;
  readonly to: Duplex;
  readonly boundary: FrameBoundary;
  /** Our close frame went out: nothing may follow it. */
  isEnded: boolean;
}

export class Tunnel {
  readonly #toClient: Direction;
  readonly #toServer: Direction;
  readonly #onClosed: () => void;
  #closeCode: number | undefined;
  #closedSides = 0;
  #heardAtMs: number;
  #askedAtMs: number | undefined;
  #isHeard = false;

  constructor({ client, server, onClosed }: TunnelOptions, nowMs: number) {
    this.#onClosed = onClosed;
    this.#heardAtMs = nowMs;
    this.#toClient = { from: server, to: client, boundary: new FrameBoundary(), isEnded: false };
    this.#toServer = { from: client, to: server, boundary: new FrameBoundary(), isEnded: false };
    this.#pump(this.#toClient);
    this.#pump(this.#toServer);
  }

  /** Messages the client has sent, or begun to send. */
  get clientMessages(): number {
    return this.#toServer.boundary.dataFrames;
  }

  /**
   * To be called every few seconds with the time, on the clock of the constructor: a client that says nothing is asked
   * for a sign of life, and given up when it gives none. A connection that just vanished is noticed by nothing else.
   */
  keepAlive(nowMs: number): void {
    if (this.#isHeard) {
      this.#heardAtMs = nowMs;
      this.#askedAtMs = undefined;
      this.#isHeard = false;
    } else if (this.#askedAtMs !== undefined) {
      if (nowMs - this.#askedAtMs >= givenUpAfterMs) this.cut();
    } else if (nowMs - this.#heardAtMs >= askedAfterMs) {
      this.#askedAtMs = nowMs;
      this.#ping();
    }
  }

  #ping(): void {
    const { boundary, to, isEnded } = this.#toClient;
    // A message that is on its way already asks for as much.
    if (boundary.isHere && !isEnded && to.writable) to.write(ping);
  }

  /** Ends it with this code, between two frames; what is not closed a second later is cut. */
  end(code: number): void {
    if (this.#closeCode !== undefined) return;
    this.#closeCode = code;
    for (const direction of [this.#toClient, this.#toServer]) {
      if (direction.boundary.isHere) this.#sendClose(direction);
    }
    setTimeout(() => this.cut(), endGraceMs).unref();
  }

  cut(): void {
    this.#toClient.to.destroy();
    this.#toServer.to.destroy();
  }

  #pump(direction: Direction): void {
    const { from, to } = direction;
    from.on('data', (chunk: Buffer) => this.#pass(direction, chunk));
    to.on('drain', () => from.resume());
    // Whoever spoke HTTP on it held it back until here.
    from.resume();
    from.once('end', () => to.end());
    from.once('error', () => to.destroy());
    from.once('close', () => {
      to.destroy();
      if (++this.#closedSides === 2) this.#onClosed();
    });
  }

  #pass(direction: Direction, chunk: Buffer): void {
    const { from, to, boundary, isEnded } = direction;
    if (direction === this.#toServer) this.#isHeard = true;
    if (isEnded) return;
    const isEnding = this.#closeCode !== undefined;
    const followed = boundary.follow(chunk, isEnding);
    if (!to.write(followed === chunk.length ? chunk : chunk.subarray(0, followed))) from.pause();
    if (isEnding && boundary.isHere) this.#sendClose(direction);
  }

  #sendClose(direction: Direction): void {
    direction.isEnded = true;
    // What still comes from there is read and dropped: its own close frame is among it.
    direction.from.resume();
    const isFromClient = direction === this.#toServer;
    if (direction.to.writable) direction.to.end(closeFrame(this.#closeCode as number, isFromClient));
  }
}

/** RFC 6455 section 5.5.1. What a client sends is masked; with zeros it reads the same. */
function closeFrame(code: number, isMasked: boolean): Buffer {
  const payload = [code >> 8, code & 0xff];
  return Buffer.from(isMasked ? [0x88, 0x82, 0, 0, 0, 0, ...payload] : [0x88, 0x02, ...payload]);
}

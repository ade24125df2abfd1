/**
 * Cuts what arrives from a server into whole messages, however the network cut it, in time and memory linear in what
 * arrived. Knows nothing of what is in a message.
 */
import { lengthOfElement, malformed, tags } from './ber.ts';

/** Takes the bytes from `start` to `end`, which are only valid during the call. */
export type MessageReceiver = (bytes: Buffer, start: number, end: number) => void;

export class MessageFramer {
  readonly #maxMessageBytes: number;
  readonly #receive: MessageReceiver;
  /** The beginning of a message whose end is still to come. Grows with what arrives, never with what is announced. */
  #begun: Buffer = Buffer.alloc(0);
  #begunBytes = 0;

  constructor(maxMessageBytes: number, receive: MessageReceiver) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#receive = receive;
  }

  /** Whether nothing is held back. */
  get isEmpty(): boolean {
    return this.#begunBytes === 0;
  }

  /**
   * Hands on every message that is whole by now. Throws LdapFailure with kind `protocol` when no message can be there,
   * and whatever the receiver throws; then no more can be read. Hot path: bench/ldap.ts.
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#begunBytes > 0 && at < chunk.length) at = this.#complete(chunk, at);
    while (at < chunk.length) {
      const length = this.#messageLength(chunk, at, chunk.length);
      if (length === undefined || length > chunk.length - at) {
        this.#hold(chunk, at, chunk.length);
        return;
      }
      this.#receive(chunk, at, at + length);
      at += length;
    }
  }

  /** Adds to the message begun no more than belongs to it; returns where the next bytes are. */
  #complete(chunk: Buffer, at: number): number {
    let length = this.#messageLength(this.#begun, 0, this.#begunBytes);
    // Its header is not whole: byte by byte, there are only few.
    const missing = length === undefined ? 1 : length - this.#begunBytes;
    const end = Math.min(chunk.length, at + missing);
    this.#hold(chunk, at, end);
    length = this.#messageLength(this.#begun, 0, this.#begunBytes);
    if (length === this.#begunBytes) {
      const message = this.#begun;
      this.#begun = Buffer.alloc(0);
      this.#begunBytes = 0;
      this.#receive(message, 0, length);
    }
    return end;
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const bytes = this.#begunBytes + end - start;
    if (bytes > this.#begun.length) {
      // Twice as much each time, so that a message of single bytes is not copied again for each of them.
      const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#begun.length, 256));
      this.#begun.copy(larger, 0, 0, this.#begunBytes);
      this.#begun = larger;
    }
    chunk.copy(this.#begun, this.#begunBytes, start, end);
    this.#begunBytes = bytes;
  }

  #messageLength(bytes: Buffer, at: number, end: number): number | undefined {
    if (bytes[at] !== tags.sequence) throw malformed('a message does not begin as one');
    const length = lengthOfElement(bytes, at, end);
    if (length !== undefined && length > this.#maxMessageBytes) throw malformed('a message is too long');
    return length;
  }
}

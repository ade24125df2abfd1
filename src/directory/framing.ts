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
   * Takes the bytes up to `end` and hands on every message that is whole by now. Throws LdapFailure with kind `protocol` when no message can be there,
   * and whatever the receiver throws; then no more can be read. Hot path: bench/ldap.ts.
   */
  push(bytes: Buffer, end: number = bytes.length): void {
    let at = 0;
    while (this.#begunBytes > 0 && at < end) at = this.#complete(bytes, at, end);
    while (at < end) {
      const length = this.#messageLength(bytes, at, end);
      if (length === undefined || length > end - at) {
        this.#hold(bytes, at, end);
        return;
      }
      this.#receive(bytes, at, at + length);
      at += length;
    }
  }

  /** Adds to the message begun no more than belongs to it; returns where the next bytes are. */
  #complete(bytes: Buffer, at: number, end: number): number {
    let length = this.#messageLength(this.#begun, 0, this.#begunBytes);
    // Its header is not whole: byte by byte, there are only few.
    const missing = length === undefined ? 1 : length - this.#begunBytes;
    const next = Math.min(end, at + missing);
    this.#hold(bytes, at, next);
    length = this.#messageLength(this.#begun, 0, this.#begunBytes);
    if (length === this.#begunBytes) {
      const message = this.#begun;
      this.#begun = Buffer.alloc(0);
      this.#begunBytes = 0;
      this.#receive(message, 0, length);
    }
    return next;
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    const total = this.#begunBytes + end - start;
    if (total > this.#begun.length) {
      // Twice as much each time, so that a message of single bytes is not copied again for each of them.
      const larger = Buffer.allocUnsafe(Math.max(total, 2 * this.#begun.length, 256));
      this.#begun.copy(larger, 0, 0, this.#begunBytes);
      this.#begun = larger;
    }
    bytes.copy(this.#begun, this.#begunBytes, start, end);
    this.#begunBytes = total;
  }

  #messageLength(bytes: Buffer, at: number, end: number): number | undefined {
    if (bytes[at] !== tags.sequence) throw malformed('a message does not begin as one');
    const length = lengthOfElement(bytes, at, end);
    if (length !== undefined && length > this.#maxMessageBytes) throw malformed('a message is too long');
    return length;
  }
}

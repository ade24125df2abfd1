/**
 * Follows the frames of one direction of a WebSocket by their lengths alone (RFC 6455 section 5.2), to know where a
 * frame of our own may go in between. Payloads are skipped, never looked at.
 */

const firstControlOpcode = 0x8;

export class FrameBoundary {
  /** Bytes of the head that came so far; at most 14 belong to one. */
  readonly #head = Buffer.alloc(14);
  #headBytes = 0;
  #payloadLeft = 0;
  /** Frames that carry an application's data, so far. */
  dataFrames = 0;

  /** Whether the bytes so far end with a whole frame. */
  get isHere(): boolean {
    return this.#payloadLeft === 0 && this.#headBytes === 0;
  }

  /** Follows `chunk`. Answers how many of its bytes belong to it: all, or with `stops` those up to the next boundary. */
  follow(chunk: Buffer, stops = false): number {
    let at = 0;
    while (at < chunk.length) {
      if (stops && this.isHere) return at;
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
      } else {
        this.#head[this.#headBytes++] = chunk[at++] as number;
        if (this.#headBytes >= 2 && this.#headBytes === headLength(this.#head)) this.#begin();
      }
    }
    return at;
  }

  #begin(): void {
    const [first = 0, second = 0] = this.#head;
    if ((first & 0x0f) < firstControlOpcode) this.dataFrames++;
    const length = second & 0x7f;
    if (length < 126) this.#payloadLeft = length;
    else if (length === 126) this.#payloadLeft = this.#head.readUInt16BE(2);
    // More than 2^53 bytes never end; that the number is rounded then does not matter.
    else this.#payloadLeft = Number(this.#head.readBigUInt64BE(2));
    this.#headBytes = 0;
  }
}

function headLength(head: Buffer): number {
  const second = head[1] as number;
  const length = second & 0x7f;
  return 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + (second >= 0x80 ? 4 : 0);
}

/** Gathers the bytes of a head until it is whole: at most 64 KiB, and at once nothing that cannot become one. */
import { GatewayError } from '../../errors.ts';

const maxBytes = 65_536;
const beginning = Buffer.from('HTTP/1.');
const end = Buffer.from('\r\n\r\n');
const cr = 0x0d;
const lf = 0x0a;

export interface WholeHead {
  /** A character per byte, with the CRLF of its last field, without the empty line. */
  readonly text: string;
  /** What came behind it. */
  readonly rest: Buffer;
}

export class HeadBytes {
  /** What came before; large enough for any head. */
  #buffer: Buffer | undefined;
  #length = 0;

  /** Hot path: `bench/proxy.ts`. `undefined`: more has to come. Throws UPSTREAM_PROTOCOL. */
  take(bytes: Buffer): WholeHead | undefined {
    if (this.#buffer !== undefined) return this.#append(this.#buffer, bytes);
    const at = bytes.indexOf(end);
    if (at >= 0 && at + end.length <= maxBytes) {
      return { text: bytes.toString('latin1', 0, at + 2), rest: bytes.subarray(at + end.length) };
    }
    return this.#append((this.#buffer = Buffer.allocUnsafeSlow(maxBytes)), bytes);
  }

  #append(buffer: Buffer, bytes: Buffer): WholeHead | undefined {
    const before = this.#length;
    const taken = Math.min(bytes.length, maxBytes - before);
    bytes.copy(buffer, before, 0, taken);
    this.#length += taken;
    const gathered = buffer.subarray(0, this.#length);
    // The empty line may have begun in what came before.
    const at = gathered.indexOf(end, Math.max(0, before - end.length + 1));
    if (at >= 0) {
      this.#buffer = undefined;
      this.#length = 0;
      const restAt = at + end.length - before;
      return { text: gathered.toString('latin1', 0, at + 2), rest: bytes.subarray(restAt) };
    }
    if (this.#length === maxBytes) throw malformed('the head of the answer is too large');
    refuseOtherProtocols(gathered, before);
    return undefined;
  }
}

/** Whoever waits for the end of what is no head of HTTP waits until its time is over. */
function refuseOtherProtocols(gathered: Buffer, from: number): void {
  const known = Math.min(gathered.length, beginning.length);
  if (gathered.compare(beginning, 0, known, 0, known) !== 0)
    throw malformed('the upstream does not speak HTTP/1');
  for (let at = gathered.indexOf(lf, from); at >= 0; at = gathered.indexOf(lf, at + 1)) {
    if (gathered[at - 1] !== cr) throw malformed('a line of the head ends without CR');
  }
}

function malformed(message: string): GatewayError {
  return new GatewayError('UPSTREAM_PROTOCOL', message);
}

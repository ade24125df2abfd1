/** Writes files into one archive as `tar` reads it (POSIX.1-2024, pax, "ustar Interchange Format"). Short names only. */
import { once } from 'node:events';
import { createReadStream, type WriteStream } from 'node:fs';

export interface ArchivedFile {
  /** Without folders, at most 100 bytes. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

const blockBytes = 512;

/** Every file for its owner alone (mode 0600). Rejects when a file is not as long as it was said to be. */
export async function writeTar(files: readonly ArchivedFile[], out: WriteStream): Promise<void> {
  for (const file of files) {
    await write(out, header(file));
    let bytes = 0;
    for await (const chunk of createReadStream(file.path) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      await write(out, chunk);
    }
    if (bytes !== file.bytes) throw new Error(`${file.path} changed while it was read`);
    await write(out, Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes));
  }
  // The end of an archive is two blocks of zeros.
  await write(out, Buffer.alloc(2 * blockBytes));
}

async function write(out: WriteStream, bytes: Buffer): Promise<void> {
  if (!out.write(bytes)) await once(out, 'drain');
}

function header({ name, bytes, modifiedAtMs }: ArchivedFile): Buffer {
  const block = Buffer.alloc(blockBytes);
  const put = (text: string, offset: number): void => void block.write(text, offset, 'latin1');
  const octal = (number: number, digits: number): string => `${number.toString(8).padStart(digits, '0')}\0`;
  put(name, 0);
  put(octal(0o600, 7), 100);
  // Owner and group 0: whoever unpacks decides.
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(bytes, 11), 124);
  put(octal(Math.floor(modifiedAtMs / 1_000), 11), 136);
  put('0', 156);
  put('ustar\x0000', 257);
  // The sum is taken with blanks in its own place.
  put(' '.repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Load of unary gRPC calls from h2load (Debian package nghttp2-client): the same message again and again. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface GrpcLoad {
  readonly port: number;
  readonly method: string;
  readonly message: Buffer;
  /** Calls that are made; the time they take is what the server needs. */
  readonly calls: number;
  readonly connections?: number;
  readonly callsAtOnce?: number;
}

/** Throws when any call had no answer: a benchmark of errors measures nothing. */
export async function runGrpcLoad({
  port,
  method,
  message,
  calls,
  connections = 8,
  callsAtOnce = 16,
}: GrpcLoad): Promise<{ readonly requests: number; readonly perSecond: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-bench-'));
  try {
    const file = join(folder, 'message');
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    writeFileSync(file, Buffer.concat([prefix, message]));
    const { stdout } = await promisify(execFile)('h2load', [
      '-t1',
      `-c${connections}`,
      `-m${callsAtOnce}`,
      `-n${calls}`,
      `--data=${file}`,
      '--header=content-type: application/grpc',
      '--header=te: trailers',
      `http://127.0.0.1:${port}${method}`,
    ]);
    const succeeded = Number(/(\d+) succeeded/.exec(stdout)?.[1]);
    if (succeeded !== calls) throw new Error(`the load met errors:\n${stdout}`);
    return { requests: calls, perSecond: Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(stdout)?.[1]) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

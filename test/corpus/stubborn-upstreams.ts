/** Applications that answer without end or read nothing, for rows about who is held back. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PlainUpstream extends AsyncDisposable {
  readonly url: string;
  readonly written: number;
}

/** Answers a probe at once and everything else without end. */
export async function endlessUpstream(): Promise<PlainUpstream> {
  let written = 0;
  const server = createServer((incoming, response) => {
    if (incoming.url !== '/public/1GiB') {
      response.end('{}');
      return;
    }
    const chunk = Buffer.alloc(65_536);
    const pump = (): void => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length;
      response.once('drain', pump);
    };
    response.writeHead(200, { 'Content-Length': 1_073_741_824 });
    pump();
  });
  return await serve(server, () => written);
}

/** Answers a probe at once and never reads an upload. */
export async function deafUpstream(): Promise<PlainUpstream> {
  const server = createServer((incoming, response) => {
    if (incoming.method === 'POST') incoming.pause();
    else response.end('{}');
  });
  return await serve(server);
}

async function serve(server: Server, written = () => 0): Promise<PlainUpstream> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get written() {
      return written();
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

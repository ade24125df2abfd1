/** An application that speaks WebSocket: echoes what it gets, and says what it was told in the handshake. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

export interface WebSocketUpstream extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly handshakes: readonly IncomingMessage[];
  /** Open ones, oldest first. */
  readonly sockets: ReadonlySet<WebSocket>;
  /** Status that handshakes are answered with instead of being accepted. */
  refuseWith: number | undefined;
}

export async function startWebSocketUpstream(): Promise<WebSocketUpstream> {
  const handshakes: IncomingMessage[] = [];
  const sockets = new Set<WebSocket>();
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(page);
  });
  const acceptor = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { refuseWith } = upstream;
    if (refuseWith === undefined) {
      acceptor.handleUpgrade(request, socket, head, (opened) => acceptor.emit('connection', opened, request));
    } else {
      socket.on('error', () => socket.destroy());
      socket.end(`HTTP/1.1 ${refuseWith} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    }
  });
  acceptor.on('connection', (socket, request) => {
    handshakes.push(request);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  const upstream: WebSocketUpstream = {
    port,
    url: `http://127.0.0.1:${port}`,
    handshakes,
    sockets,
    refuseWith: undefined,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.terminate();
      acceptor.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return upstream;
}

/** Sends a word over a WebSocket of its own address and shows the echo. */
const page = `<!doctype html><title>Echo</title><output id="echo">waiting</output>
<script>
const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
socket.onopen = () => socket.send('hello over ' + socket.url.split(':')[0]);
socket.onmessage = ({ data }) => { document.getElementById('echo').textContent = data; };
socket.onclose = ({ code }) => { document.title = 'closed ' + code; };
</script>`;

/** An application that speaks WebSocket: echoes what it gets, and says what it was told in the handshake. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface WebSocketUpstream extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly handshakes: readonly IncomingMessage[];
  /** Open ones, oldest first. */
  readonly sockets: ReadonlySet<WebSocket>;
}

export async function startWebSocketUpstream(): Promise<WebSocketUpstream> {
  const handshakes: IncomingMessage[] = [];
  const sockets = new Set<WebSocket>();
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(page);
  });
  const acceptor = new WebSocketServer({ server });
  acceptor.on('connection', (socket, request) => {
    handshakes.push(request);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    handshakes,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.terminate();
      acceptor.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Sends a word over a WebSocket of its own address and shows the echo. */
const page = `<!doctype html><title>Echo</title><output id="echo">waiting</output>
<script>
const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
socket.onopen = () => socket.send('hello over ' + socket.url.split(':')[0]);
socket.onmessage = ({ data }) => { document.getElementById('echo').textContent = data; };
socket.onclose = ({ code }) => { document.title = 'closed ' + code; };
</script>`;

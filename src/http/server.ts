/** Makes the Node server of a listener: HTTP/1.1 in clear text, or HTTP/1.1 and HTTP/2 over TLS, with their limits. */
import { createServer, type Server, type ServerOptions } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Session,
} from 'node:http2';
import type { TlsIdentity } from '../lib/tls-identity.ts';
import { ParsedRequest } from './parsed-request.ts';

export type HttpServer = Server | TlsServer;
/** With `allowHTTP1` it has the connections of HTTP/1.1 too; its types do not say so. */
type TlsServer = Http2SecureServer & Pick<Server, 'closeIdleConnections'>;

export interface HttpServerOptions {
  /** A longer request head is refused with 431. */
  readonly headBytes: number;
  /** HTTP/2: requests under way on one connection. */
  readonly streams: number;
  /** Omitted: clear text. */
  readonly tls: TlsIdentity | undefined;
}

export function createHttpServer({ headBytes, streams, tls }: HttpServerOptions): HttpServer {
  return tls === undefined
    ? createServer({ ...limits(headBytes), IncomingMessage: ParsedRequest })
    : (createSecureServer({
        ...limits(headBytes),
        ...http2Limits(headBytes, streams),
        ...secured(tls),
        Http1IncomingMessage: ParsedRequest,
      }) as TlsServer);
}

export function isSecure(server: HttpServer): server is TlsServer {
  return 'updateSettings' in server;
}

/** Settings of TLS with this certificate. */
export function secured({ certificate, key }: TlsIdentity): SecureServerOptions {
  return { minVersion: 'TLSv1.2', handshakeTimeout: 10_000, cert: certificate, key };
}

function limits(headBytes: number): ServerOptions {
  return {
    maxHeaderSize: headBytes,
    requireHostHeader: false,
    headersTimeout: 10_000,
    // Uploads through the proxy may be long: the body has its own idle limit, the listener's.
    requestTimeout: 0,
    // The listener ends idle connections. Node's own limit costs two timers per request, a twelfth of its CPU.
    keepAliveTimeout: 0,
    // Connections that ran out of time are closed together: often, so that they are few each time.
    connectionsCheckingInterval: 250,
    optimizeEmptyRequests: true,
    noDelay: true,
  };
}

/** What a client may send ahead of whoever reads it: of one request, and of all of a connection together. */
const streamWindowBytes = 262_144;
const connectionWindowBytes = 1_048_576;

/** Frames and streams beyond these end the connection. */
function http2Limits(headBytes: number, streams: number): SecureServerOptions {
  return {
    allowHTTP1: true,
    settings: {
      maxConcurrentStreams: streams,
      maxHeaderListSize: headBytes,
      // With the default of 64 KiB an upload waits for the way there and back again and again.
      initialWindowSize: streamWindowBytes,
    },
    // In megabytes: room for the windows of all streams. Beyond it new streams are refused.
    maxSessionMemory: 32,
    maxHeaderListPairs: 256,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // CVE-2023-44487: whoever opens and resets streams faster than a person navigates is told to go.
    streamResetBurst: 200,
    streamResetRate: 20,
  };
}

/** The open HTTP/2 connections of a server. */
export class Http2Sessions {
  readonly #open = new Set<ServerHttp2Session>();

  constructor(server: Http2SecureServer) {
    server.on('session', (session) => {
      this.#open.add(session);
      session.setLocalWindowSize(connectionWindowBytes);
      session.once('close', () => this.#open.delete(session));
      // The other side broke the protocol or the connection: nothing of it can be answered any more.
      session.on('error', () => session.destroy());
    });
  }

  /** Says goodbye (GOAWAY); requests under way are answered. */
  end(): void {
    for (const session of this.#open) session.close();
  }

  cut(): void {
    for (const session of this.#open) session.destroy();
  }
}

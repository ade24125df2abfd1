/** The head of a request as it goes to a server (RFC 9112 section 3). */
import { GatewayError } from '../../errors.ts';

export interface RequestHead {
  readonly method: string;
  /** Origin-form target. */
  readonly path: string;
  /** Names and values in turn, a character per byte, without fields of the connection. */
  readonly headers: readonly string[];
  /** Bytes of the body; `chunked`: nobody knows; 0: there is none. */
  readonly bodyLength: number | 'chunked';
  readonly isUpgrade: boolean;
}

/** Their meaning is a body, so that its absence is said (RFC 9110 section 8.6). */
const bodyMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

const framing: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

/** A line break in a value would begin a field, or a request, of its own. Above one byte a character would become another. */
const impossible = /[^\t\x20-\x7e\x80-\xff]/;
const requestLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.1\r\n$/;

/** Hot path: `bench/proxy.ts`. Framing is said once, whatever `headers` says. Throws REQUEST_MALFORMED. */
export function requestHead({ method, path, headers, bodyLength, isUpgrade }: RequestHead): string {
  let text = `${method} ${path} HTTP/1.1\r\n`;
  if (!requestLine.test(text)) throw malformed('request line');
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if ((name.length === 14 || name.length === 17) && framing.has(name.toLowerCase())) continue;
    if (impossible.test(value)) throw malformed(name);
    text += `${name}: ${value}\r\n`;
  }
  text += isUpgrade ? 'Connection: upgrade\r\nUpgrade: websocket\r\n' : 'Connection: keep-alive\r\n';
  if (bodyLength === 'chunked') return `${text}Transfer-Encoding: chunked\r\n\r\n`;
  if (bodyLength > 0 || bodyMethods.has(method)) return `${text}Content-Length: ${bodyLength}\r\n\r\n`;
  return `${text}\r\n`;
}

function malformed(field: string): GatewayError {
  return new GatewayError('REQUEST_MALFORMED', 'a field holds what no field may hold', { fields: { field } });
}

/** A server that speaks just enough LDAP to say what no honest server says. Answers are bytes the test chooses. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface LdapRequest {
  readonly messageId: number;
  /** [APPLICATION n] tag: 0x60 bind, 0x63 search, 0x77 extended, 0x42 unbind. */
  readonly tag: number;
  /** Whole message. */
  readonly bytes: Buffer;
}

export interface ScriptedLdapServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly requests: readonly LdapRequest[];
}

export type Script = (request: LdapRequest, socket: Socket) => Buffer | readonly Buffer[] | undefined;

export async function startScriptedLdapServer(script: Script): Promise<ScriptedLdapServer> {
  const sockets = new Set<Socket>();
  const requests: LdapRequest[] = [];
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    let pending: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const length = wholeLength(pending);
        if (length === undefined || pending.length < length) return;
        const bytes = pending.subarray(0, length);
        pending = pending.subarray(length);
        const request = parseRequest(bytes);
        requests.push(request);
        const answers = script(request, socket) ?? [];
        for (const answer of Buffer.isBuffer(answers) ? [answers] : answers) socket.write(answer);
      }
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `ldap://127.0.0.1:${port}`,
    port,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

export function ber(tag: number, ...contents: (Buffer | string | number)[]): Buffer {
  const content = Buffer.concat(
    contents.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))),
  );
  const { length } = content;
  const header = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}

/** An LDAPMessage with `body` as its operation. */
export function message(messageId: number, ...body: Buffer[]): Buffer {
  // Two bytes from 128 on: the first bit is the sign.
  const id = messageId < 0x80 ? [messageId] : [messageId >> 8, messageId & 0xff];
  return ber(0x30, ber(0x02, ...id), ...body);
}

/** A response with only the three fields every result has (RFC 4511 section 4.1.9). */
export function result(messageId: number, tag: number, code: number): Buffer {
  return message(messageId, ber(tag, ber(0x0a, code), ber(0x04, ''), ber(0x04, '')));
}

export function searchEntry(messageId: number, dn: string, attributes: Record<string, string[]>): Buffer {
  const list = Object.entries(attributes).map(([name, values]) =>
    ber(0x30, ber(0x04, name), ber(0x31, ...values.map((value) => ber(0x04, value)))),
  );
  return message(messageId, ber(0x64, ber(0x04, dn), ber(0x30, ...list)));
}

export const tags = {
  bind: 0x60,
  bindResponse: 0x61,
  search: 0x63,
  searchDone: 0x65,
  extended: 0x77,
} as const;

function wholeLength(bytes: Buffer): number | undefined {
  // A TLS handshake, for instance: never a whole message.
  if (bytes[0] !== 0x30) return undefined;
  const first = bytes[1];
  if (first === undefined) return undefined;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  return bytes.length < 2 + count ? undefined : 2 + count + bytes.readUIntBE(2, count);
}

function parseRequest(bytes: Buffer): LdapRequest {
  const first = bytes[1] ?? 0;
  const at = first < 0x80 ? 2 : 2 + (first & 0x7f);
  const idLength = bytes[at + 1] ?? 1;
  return {
    messageId: bytes.readUIntBE(at + 2, idLength),
    tag: bytes[at + 2 + idLength] ?? 0,
    bytes: Buffer.from(bytes),
  };
}

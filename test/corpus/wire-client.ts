/** One connection to the gateway on which exactly the given bytes are sent, and what comes back, taken apart. */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface WireAnswer {
  readonly status: number;
  /** Flat list of names and values, as they came. */
  readonly headers: readonly string[];
  readonly headBytes: number;
  readonly body: string;
}

export interface Conversation {
  /** Final answers in order. */
  readonly answers: readonly WireAnswer[];
  /** Statuses below 200 that came before them. */
  readonly interim: readonly number[];
  /** Whether the gateway ended the connection, before this end did. */
  readonly isClosedByGateway: boolean;
}

export interface ConversationOptions {
  readonly port: number;
  readonly bytes: Buffer;
  /** Answers awaited before this end closes; later ones are still collected. */
  readonly answers?: number;
  /** Methods of the requests, in order: answers to HEAD have no body. */
  readonly methods?: readonly string[];
  readonly localAddress?: string;
  readonly remoteAddress?: string;
  /** Over TLS, whatever the certificate. */
  readonly isSecure?: boolean;
  /** Wait for the gateway to close, for rows that say it must. */
  readonly untilClosed?: boolean;
}

/** How long an answer or the end of the connection is waited for, also where other tests have most of the machine. */
const patienceMs = 30_000;

export async function converse(options: ConversationOptions): Promise<Conversation> {
  const { port, bytes, answers: wanted = 1, methods = [], localAddress, untilClosed = false } = options;
  const way = {
    port,
    host: options.remoteAddress ?? '127.0.0.1',
    ...(localAddress === undefined ? {} : { localAddress }),
  };
  const socket = options.isSecure === true ? connectTls({ ...way, rejectUnauthorized: false }) : connect(way);
  const deadline = setTimeout(() => socket.destroy(new Error('the gateway did not answer')), patienceMs);
  const chunks: Buffer[] = [];
  let isClosedByGateway = false;
  let hasEnded = false;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (untilClosed || hasEnded) return;
    if (parseAnswers(Buffer.concat(chunks), methods, false).answers.length >= wanted) {
      hasEnded = true;
      socket.end();
    }
  });
  socket.on('end', () => {
    isClosedByGateway = !hasEnded;
  });
  // A reset after the answer is the gateway closing before it has read everything.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') isClosedByGateway = !hasEnded;
    else chunks.push(Buffer.from(`\r\n${error.message}`));
  });
  // Not `once` of node:events: an error is no failure here, the answer may have come before it.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(bytes);
  await closed;
  clearTimeout(deadline);
  return { ...parseAnswers(Buffer.concat(chunks), methods, true), isClosedByGateway };
}

export function headerValues({ headers }: Pick<WireAnswer, 'headers'>, name: string): readonly string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name.toLowerCase());
}

interface Parsed {
  readonly answers: WireAnswer[];
  readonly interim: number[];
}

/** RFC 9112 section 6.3, as far as an answer of the gateway needs it. `isEnd`: nothing more will come. */
function parseAnswers(bytes: Buffer, methods: readonly string[], isEnd: boolean): Parsed {
  const answers: WireAnswer[] = [];
  const interim: number[] = [];
  let at = 0;
  for (;;) {
    const headEnd = bytes.indexOf('\r\n\r\n', at);
    if (headEnd < 0) return { answers, interim };
    const [statusLine = '', ...lines] = bytes.subarray(at, headEnd).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1] ?? 0);
    const headBytes = headEnd + 4 - at;
    const headers = lines.flatMap((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    at = headEnd + 4;
    if (status >= 100 && status < 200 && status !== 101) {
      interim.push(status);
      continue;
    }
    const body = readBody(bytes, at, { status, headers, isHead: methods[answers.length] === 'HEAD', isEnd });
    if (body === undefined) return { answers, interim };
    at = body.end;
    answers.push({ status, headers, headBytes, body: body.bytes.toString('utf8') });
  }
}

interface Framing {
  readonly status: number;
  readonly headers: readonly string[];
  readonly isHead: boolean;
  readonly isEnd: boolean;
}

function readBody(
  bytes: Buffer,
  start: number,
  framing: Framing,
): { bytes: Buffer; end: number } | undefined {
  const { status, isHead, isEnd } = framing;
  if (isHead || status === 101 || status === 204 || status === 304)
    return { bytes: Buffer.alloc(0), end: start };
  const [length] = headerValues(framing, 'content-length');
  if (length !== undefined) {
    const end = start + Number(length);
    return bytes.length >= end ? { bytes: bytes.subarray(start, end), end } : undefined;
  }
  if (headerValues(framing, 'transfer-encoding').length === 0) {
    return isEnd ? { bytes: bytes.subarray(start), end: bytes.length } : undefined;
  }
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    if (bytes.length < lineEnd + 2 + size + 2) return undefined;
    if (size === 0) return { bytes: Buffer.concat(parts), end: lineEnd + 4 };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}

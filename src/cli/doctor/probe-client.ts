/**
 * HTTP as a stranger outside sends it: exactly the head it is given, no redirect followed, every header kept.
 * Unlike lib/outgoing.ts nothing is normalised here, because spelling is what the probes are about.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export type Field = readonly [name: string, value: string];

export interface ProbeRequest {
  readonly method?: string;
  /** Default: none; Host is always sent. */
  readonly headers?: readonly Field[];
  readonly body?: string;
}

export interface ProbeAnswer {
  readonly status: number;
  /** All values of one field, each line for itself. */
  values(name: string): readonly string[];
  readonly body: string;
}

const timeoutMs = 20_000;
/** Answers are read up to here; a probe looks for a few words. */
const maxBodyCharacters = 1_048_576;

export class ProbeClient {
  readonly base: URL;
  readonly #address: { readonly host: string; readonly port: number };

  /** `connectTo`: `host:port` that is dialled instead of the one in the URL, whose name still is asked for. */
  constructor(base: URL, connectTo?: string) {
    this.base = base;
    const defaultPort = base.protocol === 'https:' ? 443 : 80;
    const dialled = new URL(`http://${connectTo ?? base.host}`);
    const named = connectTo === undefined ? base.port : dialled.port;
    this.#address = {
      host: dialled.hostname.replace(/^\[|\]$/g, ''),
      port: named === '' ? defaultPort : Number(named),
    };
  }

  /** `target` goes on the wire as it is. Rejects with an error that has a `code` when nobody answers. */
  async ask(target: string, { method = 'GET', headers = [], body }: ProbeRequest = {}): Promise<ProbeAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const length: readonly Field[] =
      body === undefined ? [] : [['Content-Length', String(Buffer.byteLength(body))]];
    const open = this.base.protocol === 'https:' ? requestHttps : requestHttp;
    const sent = open({
      ...this.#address,
      servername: this.base.hostname,
      method,
      path: target,
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      maxHeaderSize: 262_144,
      headers: [['Host', this.base.host] as const, ...headers, ...length].flat(),
    });
    sent.once('response', resolve).once('error', reject);
    sent.end(body);
    const response = await promise;
    // A refusal may come while the body is still on its way; what happens to the rest of it does not matter.
    sent.on('error', () => undefined);
    const { rawHeaders, statusCode = 0 } = response;
    return {
      status: statusCode,
      values: (name) =>
        rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name.toLowerCase()),
      body: await readBody(response),
    };
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    text += chunk as string;
    if (text.length > maxBodyCharacters) break;
  }
  return text;
}

/** A plain HTTP client for tests: sends exactly the head it is given, follows nothing, keeps raw headers. */
import { type IncomingHttpHeaders, request } from 'node:http';

export interface Ask {
  readonly port: number;
  readonly method?: string;
  /** Request target, as it goes on the wire. */
  readonly path?: string;
  /** Flat list or pairs; Host is added when missing. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  /** All values of one field, in order. */
  values(name: string): readonly string[];
}

export async function ask({ port, method = 'GET', path = '/', headers = [], body }: Ask): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    headers: [
      ...(headers.some(([name]) => name.toLowerCase() === 'host')
        ? []
        : [['Host', `127.0.0.1:${port}`] as const]),
      ...headers,
      ...(body === undefined ? [] : [['Content-Length', String(Buffer.byteLength(body))] as const]),
    ].flat(),
  });
  sent.on('error', reject);
  sent.on('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      const { rawHeaders } = response;
      resolve({
        status: response.statusCode as number,
        headers: response.headers,
        rawHeaders,
        body: Buffer.concat(chunks).toString('utf8'),
        values: (name) =>
          rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name.toLowerCase()),
      });
    });
  });
  sent.end(body);
  return await promise;
}

/** What nginx asks before it lets a request for `url` pass, with the headers of that request. */
export async function askAsNginx(
  port: number,
  url: string,
  headers: NonNullable<Ask['headers']> = [],
  method = 'GET',
): Promise<Answer> {
  return await ask({
    port,
    path: '/_vratar/auth/nginx',
    headers: [['X-Original-URL', url], ['X-Original-Method', method], ...headers],
  });
}

/** A browser's memory of one host: keeps cookies, fills in forms. */
export class Visitor {
  readonly #port: number;
  readonly #headers: readonly (readonly [string, string])[];
  readonly cookies = new Map<string, string>();

  /** `headers` go with every request, for example Host. */
  constructor(port: number, headers: readonly (readonly [string, string])[] = []) {
    this.#port = port;
    this.#headers = headers;
  }

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async ask(path: string, options: Partial<Ask> = {}): Promise<Answer> {
    const cookie = this.cookies.size === 0 ? [] : [['Cookie', this.cookieHeader] as const];
    const answer = await ask({
      ...options,
      port: this.#port,
      path,
      headers: [...this.#headers, ...cookie, ...(options.headers ?? [])],
    });
    for (const line of answer.values('set-cookie')) {
      const [pair = ''] = line.split(';', 1);
      const equals = pair.indexOf('=');
      if (/max-age=0/i.test(line)) this.cookies.delete(pair.slice(0, equals));
      else this.cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
    return answer;
  }

  /** Fills in the sign-in form. */
  async signIn(username: string, password: string, fields: Record<string, string> = {}): Promise<Answer> {
    const page = await this.ask('/_vratar/login', { headers: [['Accept', 'text/html']] });
    return await this.submit('/_vratar/login', { csrf: csrfOf(page.body), username, password, ...fields });
  }

  async submit(path: string, fields: Record<string, string>): Promise<Answer> {
    return await this.ask(path, {
      method: 'POST',
      headers: [
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Accept', 'text/html'],
      ],
      body: new URLSearchParams(fields).toString(),
    });
  }
}

export function csrfOf(page: string): string {
  const token = /name="csrf" value="([^"]+)"/.exec(page)?.[1];
  if (token === undefined) throw new Error('the page has no form');
  return token;
}

/** Hidden fields of the first form, as a browser sends them back. */
export function hiddenFieldsOf(page: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name = '', value = ''] of page.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)) {
    fields[name] = value;
  }
  return fields;
}

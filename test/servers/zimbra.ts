/**
 * A Zimbra (or Carbonio) for tests: the preauth service on a user port and an administration port, SOAP sign-in, one-time
 * links, sessions that end, lockout, a clock of its own. It makes signatures by itself, from the names of the values, and
 * says no in the words of the real servlet.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface ZimbraAccount {
  readonly name: string;
  readonly id?: string;
  readonly foreignPrincipal?: string;
  readonly isAdmin?: boolean;
  readonly status?: 'active' | 'closed' | 'maintenance';
}

export interface ZimbraSetup {
  /** Domain to key; without a key preauth is not configured for it. */
  readonly domains: Readonly<Record<string, string | undefined>>;
  readonly accounts: readonly ZimbraAccount[];
  readonly product?: 'zimbra' | 'carbonio';
  /** Its clock is ahead of ours by this much. */
  readonly clockOffsetMs?: number;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Replaces the answer to every SOAP request. */
  readonly soapAnswer?: { readonly status: number; readonly body: string };
  /** Failures after which an account is locked. Default 10. */
  readonly lockoutAfter?: number;
}

export interface ZimbraRequest {
  readonly port: 'user' | 'admin';
  readonly target: string;
  readonly referer: string | undefined;
  readonly body: string;
}

export interface TestZimbra extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  readonly requests: readonly ZimbraRequest[];
  /** Accounts of living sessions, web and administration alike. */
  readonly sessions: readonly string[];
  /** Failed sign-ins of an account so far. */
  failuresOf(account: string): number;
  /** `zmprov generateDomainPreAuthKey -f`. */
  setKey(domain: string, key: string): void;
  setClockOffset(offsetMs: number): void;
}

interface Token {
  readonly account: ZimbraAccount;
  readonly diesAtMs: number;
  readonly isAdmin: boolean;
}

/** What the servlet answers with 400 and the text as status message, and SOAP with a fault. */
class Refusal extends Error {
  readonly code: string;

  constructor(code: string, text: string) {
    super(text);
    this.code = code;
  }
}

const windowMs = 300_000;
const defaultLifetimeMs = 2 * 24 * 3_600_000;
const parametersOfPreauth = [
  'account',
  'admin',
  'authtoken',
  'by',
  'expires',
  'isredirect',
  'preauth',
  'timestamp',
];

export async function startZimbra(setup: ZimbraSetup): Promise<TestZimbra> {
  const { product = 'zimbra', lockoutAfter = 10 } = setup;
  const keys = new Map(Object.entries(setup.domains));
  const [defaultDomain = ''] = keys.keys();
  const tokens = new Map<string, Token>();
  const failures = new Map<string, number>();
  const requests: ZimbraRequest[] = [];
  let offsetMs = setup.clockOffsetMs ?? 0;
  const now = (): number => Date.now() + offsetMs;

  const invalid = (text: string): Refusal =>
    new Refusal('service.INVALID_REQUEST', `invalid request: ${text}`);

  /** A bare name is one of the default domain. */
  const qualified = (account: string): string =>
    account.includes('@') ? account : `${account}@${defaultDomain}`;

  function find(account: string, by: string): ZimbraAccount | undefined {
    switch (by) {
      case 'name':
        return setup.accounts.find(({ name }) => name.toLowerCase() === qualified(account).toLowerCase());
      case 'id':
        return setup.accounts.find(({ id }) => id === account);
      case 'foreignPrincipal':
        return setup.accounts.find(({ foreignPrincipal }) => foreignPrincipal === account);
      default:
        throw invalid(`unknown key: ${by}`);
    }
  }

  /** Values in the alphabetical order of their names, joined by bars; the key is its own text. */
  function macOf(values: Readonly<Record<string, string>>, key: string): string {
    const names = Object.keys(values).toSorted();
    return createHmac('sha1', Buffer.from(key, 'ascii'))
      .update(names.map((name) => values[name]).join('|'), 'utf8')
      .digest('hex');
  }

  function signIn(values: Readonly<Record<string, string>>, preauth: string): Token {
    const { account = '', by = 'name', expires = '', timestamp = '' } = values;
    if (preauth === '') throw invalid('preAuth must not be empty');
    const failed = new Refusal('account.AUTH_FAILED', `authentication failed for [${account}]`);
    const found = find(account, by);
    if (found === undefined) throw failed;
    const key = keys.get(found.name.slice(found.name.indexOf('@') + 1));
    if (key === undefined) throw invalid('domain is not configured for preauth');
    if (found.status === 'maintenance') {
      throw new Refusal('account.MAINTENANCE_MODE', 'account is in maintenance mode');
    }
    if (found.status === 'closed') {
      throw new Refusal('account.ACCOUNT_INACTIVE', `account is not active:${found.name}`);
    }
    const count = failures.get(found.name) ?? 0;
    const isRight = macOf(values, key) === preauth.toLowerCase();
    const isInTime = Math.abs(now() - Number(timestamp)) <= windowMs;
    if (count >= lockoutAfter || !isRight || !isInTime) {
      failures.set(found.name, count + 1);
      throw failed;
    }
    failures.delete(found.name);
    const isAdmin = values['admin'] === '1';
    if (isAdmin && found.isAdmin !== true) {
      throw new Refusal('service.PERM_DENIED', 'permission denied: not an admin account');
    }
    const diesAtMs = expires === '0' ? now() + defaultLifetimeMs : Number(expires);
    return { account: found, diesAtMs, isAdmin };
  }

  function issue(token: Token): string {
    const text = `0_${randomBytes(20).toString('hex')}_${Buffer.from(`id=${token.account.name}`).toString('hex')}`;
    tokens.set(text, token);
    return text;
  }

  function enter(response: ServerResponse, token: Token, query: URLSearchParams, origin: string): void {
    const name = token.isAdmin ? 'ZM_ADMIN_AUTH_TOKEN' : 'ZM_AUTH_TOKEN';
    const attributes =
      product === 'carbonio' ? '; Secure; SameSite=Lax' : setup.tls === undefined ? '' : '; Secure';
    response.setHeader('Set-Cookie', `${name}=${issue(token)}; Path=/; HttpOnly${attributes}`);
    const asked = query.get('redirectURL');
    if (asked !== null && product === 'zimbra') {
      sendError(response, 400, 'Bad Request');
      return;
    }
    const own = new Set([...parametersOfPreauth, ...(product === 'carbonio' ? ['redirectURL'] : [])]);
    const rest = new URLSearchParams([...query].filter(([parameter]) => !own.has(parameter))).toString();
    const start = startPage(product, token.isAdmin);
    const target = asked === null ? start : new URL(asked, origin).pathname;
    response.writeHead(302, { Location: `${origin}${target}${rest === '' ? '' : `?${rest}`}` });
    response.end();
  }

  function preauth(
    port: 'user' | 'admin',
    query: URLSearchParams,
    response: ServerResponse,
    origin: string,
  ): void {
    const given = query.get('authtoken');
    if (given !== null) {
      const token = tokens.get(given);
      if (token === undefined) {
        const text =
          product === 'carbonio' ? 'authtoken is invalid/or not registered' : 'authtoken is invalid';
        throw new Refusal('', text);
      }
      if (token.diesAtMs < now()) throw new Refusal('', 'auth token expired');
      // Good for one use: what goes into the cookie is another one.
      tokens.delete(given);
      enter(response, token, query, origin);
      return;
    }
    for (const name of ['preauth', 'account', 'timestamp', 'expires']) {
      if (!query.has(name)) throw invalid(`missing required param: ${name}`);
    }
    for (const name of ['timestamp', 'expires']) {
      if (!/^-?\d+$/.test(query.get(name) ?? '')) {
        sendError(response, 500, 'Internal Server Error');
        return;
      }
    }
    const values = {
      account: query.get('account') ?? '',
      by: query.get('by') ?? 'name',
      expires: query.get('expires') ?? '',
      timestamp: query.get('timestamp') ?? '',
      // On the user port nobody looks at it.
      ...(port === 'admin' && query.get('admin') === '1' ? { admin: '1' } : {}),
    };
    enter(response, signIn(values, query.get('preauth') ?? ''), query, origin);
  }

  function soap(body: string): { status: number; body: string } {
    if (setup.soapAnswer !== undefined) return setup.soapAnswer;
    try {
      return { status: 200, body: envelope(soapResult(body)) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { status: 500, body: envelope(faultOf(error)) };
    }
  }

  function soapResult(body: string): string {
    if (body.includes('<AuthRequest xmlns="urn:zimbraAccount">')) {
      const account = /<account by="([^"]*)">([^<]*)<\/account>/.exec(body);
      const signed = /<preauth timestamp="(\d+)" expires="(\d+)">([^<]*)<\/preauth>/.exec(body);
      if (account === null || signed === null) throw invalid('missing required attribute');
      const [, timestamp = '', expires = '', mac = ''] = signed;
      const values = { account: unescape(account[2]), by: account[1] ?? '', expires, timestamp };
      const token = signIn(values, mac);
      return `<AuthResponse xmlns="urn:zimbraAccount"><authToken>${issue(token)}</authToken><lifetime>${token.diesAtMs - now()}</lifetime><skin>harmony</skin></AuthResponse>`;
    }
    const given = /<authToken>([^<]*)<\/authToken>/.exec(body)?.[1] ?? '';
    const token = tokens.get(given);
    if (token === undefined) throw new Refusal('service.AUTH_REQUIRED', 'no valid authtoken present');
    if (body.includes('<EndSessionRequest xmlns="urn:zimbraAccount"')) {
      const isOwn = (text: string): boolean => body.includes('all="1"') || text === given;
      for (const [text, { account }] of tokens) {
        if (account === token.account && isOwn(text)) tokens.delete(text);
      }
      return '<EndSessionResponse xmlns="urn:zimbraAccount"/>';
    }
    throw new Refusal('service.UNKNOWN_DOCUMENT', 'unknown document');
  }

  function page(request: IncomingMessage, response: ServerResponse): void {
    const cookie = /ZM_(?:ADMIN_)?AUTH_TOKEN=([^;]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
    const token = tokens.get(cookie);
    const isAlive = token !== undefined && token.diesAtMs > now();
    const text = isAlive ? `Mailbox of ${token.account.name}` : 'Web Client Log In';
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(`<!doctype html><title>${text}</title><h1>${text}</h1><p>${request.url ?? ''}</p>`);
  }

  function serve(port: 'user' | 'admin'): (request: IncomingMessage, response: ServerResponse) => void {
    return (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        const target = request.url as string;
        requests.push({ port, target, referer: request.headers.referer, body });
        response.sendDate = false;
        response.setHeader('Date', new Date(now()).toUTCString());
        const scheme = setup.tls === undefined ? 'http' : 'https';
        const origin = `${scheme}://${request.headers.host ?? ''}`;
        const { pathname, searchParams } = new URL(target, origin);
        if (request.method === 'GET' && pathname === '/service/preauth') {
          try {
            preauth(port, searchParams, response, origin);
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            sendError(response, 400, error.message);
          }
        } else if (request.method === 'POST' && pathname === '/service/soap/') {
          const answer = soap(body);
          response.writeHead(answer.status, { 'Content-Type': 'application/soap+xml; charset=utf-8' });
          response.end(answer.body);
        } else {
          page(request, response);
        }
      });
    };
  }

  const scheme = setup.tls === undefined ? 'http' : 'https';
  const make = (port: 'user' | 'admin'): Server =>
    setup.tls === undefined ? createServer(serve(port)) : createSecureServer(setup.tls, serve(port));
  const servers = [make('user'), make('admin')] as const;
  const [userPort, adminPort] = await Promise.all(servers.map(listening));
  return {
    url: `${scheme}://127.0.0.1:${userPort}`,
    adminUrl: `${scheme}://127.0.0.1:${adminPort}`,
    requests,
    get sessions() {
      return [...tokens.values()].map(({ account }) => account.name);
    },
    failuresOf: (account) => failures.get(account) ?? 0,
    setKey: (domain, key) => void keys.set(domain, key),
    setClockOffset: (value) => {
      offsetMs = value;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        servers.map(async (server) => {
          const closed = new Promise<void>((resolve) => server.close(() => resolve()));
          server.closeAllConnections();
          await closed;
        }),
      );
    },
  };
}

function startPage(product: 'zimbra' | 'carbonio', isAdmin: boolean): string {
  if (product === 'carbonio') return isAdmin ? '/carbonioAdmin' : '/';
  return isAdmin ? '/zimbraAdmin' : '/zimbra/mail';
}

/** Jetty's error page. */
function sendError(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/html;charset=iso-8859-1' });
  response.end(
    `<html><head><title>Error ${status} ${text}</title></head><body><h2>HTTP ERROR ${status} ${text}</h2></body></html>\n`,
  );
}

function envelope(content: string): string {
  return `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header><context xmlns="urn:zimbra"/></soap:Header><soap:Body>${content}</soap:Body></soap:Envelope>`;
}

function faultOf({ code, message }: Refusal): string {
  return `<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code><soap:Reason><soap:Text>${escapeText(message)}</soap:Text></soap:Reason><soap:Detail><Error xmlns="urn:zimbra"><Code>${code}</Code><Trace>qtp-1:1</Trace></Error></soap:Detail></soap:Fault>`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescape(text: string | undefined): string {
  return (text ?? '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  return (server.address() as AddressInfo).port;
}

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, type PeerCertificate } from 'node:tls';
import { promisify } from 'node:util';
import { type Authority, type Certificate, createAuthority } from '#test/servers/certificates.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startUpstream } from '#test/servers/upstream.ts';
import { until } from '#test/support/until.ts';

const run = promisify(execFile);
const host = 'app.localhost';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** RST_STREAM's code; 0 for a stream that ended whole. */
  readonly code: number;
}

async function ask(
  session: ClientHttp2Session,
  fields: Readonly<Record<string, string | string[]>>,
  body?: string | Buffer,
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const stream = session.request(
      { ':method': 'GET', ':path': '/', ':authority': host, ...fields },
      { endStream: body === undefined },
    );
    let headers: Answer['headers'] = {};
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (received) => (headers = received as Answer['headers']));
    stream.on('data', (chunk: string) => (text += chunk));
    stream.on('close', () =>
      resolve({ status: Number(headers[':status'] ?? 0), headers, body: text, code: stream.rstCode }),
    );
    stream.on('error', (error) => {
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR) reject(error);
    });
    if (body !== undefined) stream.end(body);
  });
}

/** Name and value pairs that reached the application. */
type Received = { readonly method: string; readonly headers: readonly string[]; readonly bytes: number };

describe('a gateway that ends TLS itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-tls-'));
  const tls = { certificateFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
  let authority: Authority;
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let gateway: TestGateway;
  let redirectPort = 0;

  const install = (from: Certificate): void => {
    copyFileSync(from.certificateFile, tls.certificateFile);
    copyFileSync(from.keyFile, tls.keyFile);
  };
  const open = (): ClientHttp2Session => {
    const session = connect(`https://${host}:${gateway.port}`, {
      host: '127.0.0.1',
      servername: host,
      rejectUnauthorized: false,
      // The client's own bound counts what waits to be sent.
      maxSessionMemory: 100,
    });
    session.on('error', () => undefined);
    return session;
  };

  before(async () => {
    authority = await createAuthority();
    install(await authority.issue({ hosts: [host] }));
    upstream = await startUpstream((request, response) => {
      if (request.url === '/cut') {
        response.writeHead(200, { 'Content-Length': '1000' });
        response.write('x', () => setTimeout(() => response.destroy(), 20));
        return;
      }
      let bytes = 0;
      request.on('data', (chunk: Buffer) => (bytes += chunk.length));
      request.on('end', () => {
        response.setHeader('Set-Cookie', ['a=1', 'b=2']);
        response.setHeader('Connection', 'X-Hop');
        response.setHeader('X-Hop', 'stays here');
        response.end(JSON.stringify({ method: request.method, headers: request.rawHeaders, bytes }));
      });
    });
    const probe = await startUpstream();
    redirectPort = Number(new URL(probe.url).port);
    await probe[Symbol.asyncDispose]();
    gateway = await startGateway({
      config: {
        server: {
          publicUrl: `https://login.localhost:8443`,
          trustedProxies: [],
          tls,
          redirect: { listen: `127.0.0.1:${redirectPort}` },
        },
        providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
        applications: [
          { name: 'app', hosts: [host], upstream: upstream.url, rules: [{ access: 'public' }] },
          { name: 'inner', hosts: ['inner.localhost'], rules: [{ access: 'authenticated' }] },
        ],
      },
    });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('speaks HTTP/2 to browsers and HTTP/1.1 to its application', async () => {
    using session = disposable(open());
    const answer = await ask(session.open, {
      ':path': '/x?y=1',
      cookie: ['one=1', 'two=2'],
      'remote-user': 'mallory',
      te: 'trailers',
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(answer.headers['x-hop'], undefined);
    const { headers } = JSON.parse(answer.body) as Received;
    const valueOf = (name: string): string | undefined =>
      headers[headers.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name) + 1];
    const names = headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    assert.equal(valueOf('host'), host);
    assert.equal(valueOf('cookie'), 'one=1; two=2');
    assert.equal(valueOf('x-forwarded-proto'), 'https');
    assert.ok(!names.includes('te'));
    assert.ok(!names.includes('remote-user'));
    assert.ok(names.every((name) => !name.startsWith(':')));
  });

  test('speaks HTTP/1.1 to whoever asks for it', async () => {
    const status = await new Promise((resolve, reject) => {
      secureRequest(
        {
          port: gateway.port,
          host: '127.0.0.1',
          servername: host,
          headers: { Host: host },
          rejectUnauthorized: false,
        },
        (response) => {
          response.resume();
          resolve(`${response.httpVersion} ${response.statusCode}`);
        },
      )
        .once('error', reject)
        .end();
    });
    assert.equal(status, '1.1 200');
  });

  test('is spoken to by curl over HTTP/2, with an upload of unknown length', async () => {
    const file = join(folder, 'upload');
    writeFileSync(file, Buffer.alloc(3_000_000));
    const { stdout } = await run('sh', [
      '-c',
      `curl -sk --http2 --resolve ${host}:${gateway.port}:127.0.0.1 -w '%{http_version}' -T - https://${host}:${gateway.port}/u < ${file}`,
    ]);
    assert.match(stdout, /"bytes":3000000\}2$/);
  });

  test('takes an upload with a length, and many requests at a time on one connection', async () => {
    using session = disposable(open());
    const body = Buffer.alloc(1_000_000);
    const answers = await Promise.all(
      Array.from(
        { length: 20 },
        async () =>
          await ask(session.open, { ':method': 'POST', 'content-length': String(body.length) }, body),
      ),
    );
    for (const { status, body: text } of answers) {
      assert.equal(status, 200);
      assert.equal((JSON.parse(text) as Received).bytes, body.length);
    }
  });

  test('resets the stream of an answer that was cut, so that nobody takes it for whole', async () => {
    using session = disposable(open());
    const answer = await ask(session.open, { ':path': '/cut' });
    assert.notEqual(answer.code, constants.NGHTTP2_NO_ERROR);
    assert.equal((await ask(session.open, {})).status, 200, 'the connection goes on');
  });

  const refused: readonly {
    readonly what: string;
    readonly fields: Readonly<Record<string, string>>;
    readonly status: number;
  }[] = [
    { what: 'names another host than its authority', fields: { host: 'inner.localhost' }, status: 400 },
    { what: 'is for a host that is not served', fields: { ':authority': 'other.localhost' }, status: 421 },
    { what: 'has an ambiguous path', fields: { ':path': '/a/..%2fadmin' }, status: 400 },
    {
      what: 'carries two cookies of one name, neither of a session',
      fields: { cookie: 'a=1; a=2' },
      status: 200,
    },
  ];
  for (const { what, fields, status } of refused) {
    test(`answers ${status} to a request that ${what}`, async () => {
      using session = disposable(open());
      assert.equal((await ask(session.open, fields)).status, status);
    });
  }

  test('signs people in over HTTP/2, with a cookie for this host alone', async () => {
    using session = disposable(open());
    const page = await ask(session.open, {
      ':authority': 'inner.localhost',
      ':path': '/_vratar/login',
      'sec-fetch-mode': 'navigate',
    });
    assert.equal(page.status, 200);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] as string;
    const cookie = String(page.headers['set-cookie']).split(';', 1)[0] as string;
    const password = gateway.passwords.get('staff:alice') as string;
    const form = new URLSearchParams({ username: 'alice', password, csrf }).toString();
    const answer = await ask(
      session.open,
      {
        ':method': 'POST',
        ':authority': 'inner.localhost',
        ':path': '/_vratar/login',
        'content-type': 'application/x-www-form-urlencoded',
        cookie,
      },
      form,
    );
    assert.equal(answer.status, 303);
    assert.match(String(answer.headers['set-cookie']), /__Host-vratar=[^;]+;.*Secure/);
  });

  test('leads http to https on hosts it serves, and nowhere else', async () => {
    const plain = async (method: string, path: string, name: string): Promise<string> =>
      await new Promise((resolve, reject) => {
        plainRequest(
          { port: redirectPort, host: '127.0.0.1', method, path, headers: { Host: name } },
          (response) => {
            response.resume();
            resolve(`${response.statusCode} ${response.headers.location ?? ''}`);
          },
        )
          .once('error', reject)
          .end();
      });
    assert.equal(await plain('GET', '/a%20b?c=d', host), `308 https://${host}:8443/a%20b?c=d`);
    assert.equal(await plain('POST', '/form', `${host}:80`), `303 https://${host}:8443/form`);
    assert.equal(await plain('GET', '/', 'elsewhere.example'), '421 ');
    assert.equal(await plain('GET', '/a/..%2fb', host), '400 ');
  });

  test('presents a renewed certificate without losing the connections it has', async () => {
    using session = disposable(open());
    assert.equal((await ask(session.open, {})).status, 200);
    const before = await certificateOf(gateway.port);
    // The key first: for a moment the two files do not belong together.
    const renewed = await authority.issue({ hosts: [host] });
    copyFileSync(renewed.keyFile, tls.keyFile);
    assert.equal((await certificateOf(gateway.port)).serialNumber, before.serialNumber);
    copyFileSync(renewed.certificateFile, tls.certificateFile);
    await until(async () => (await certificateOf(gateway.port)).serialNumber !== before.serialNumber, {
      timeoutMs: 30_000,
      what: 'the renewed certificate',
    });
    assert.equal((await ask(session.open, {})).status, 200);
    assert.ok(gateway.logs.some(({ event }) => event === 'tls.certificate-renewed'));
  });

  test('lets nobody speak an old version of TLS', async () => {
    const outcome = await new Promise((resolve) => {
      const socket = connectTls(
        {
          port: gateway.port,
          host: '127.0.0.1',
          servername: host,
          rejectUnauthorized: false,
          minVersion: 'TLSv1',
          maxVersion: 'TLSv1.1',
          ciphers: 'ALL:@SECLEVEL=0',
        },
        () => resolve('connected'),
      ).once('error', () => resolve('refused'));
      socket.once('close', () => socket.destroy());
    });
    assert.equal(outcome, 'refused');
  });
});

function disposable(session: ClientHttp2Session): { readonly open: ClientHttp2Session } & Disposable {
  return { open: session, [Symbol.dispose]: () => session.destroy() };
}

async function certificateOf(port: number): Promise<PeerCertificate> {
  return await new Promise((resolve, reject) => {
    const socket = connectTls(
      { port, host: '127.0.0.1', servername: host, rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerCertificate());
        socket.end();
      },
    ).once('error', reject);
  });
}

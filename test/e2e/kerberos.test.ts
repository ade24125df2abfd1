/** Single sign-on as people meet it: a real realm, Chromium and curl with tickets, nginx with the shipped snippets. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { acceptsOf, kerberosConfig, services } from '#test/gateway/kerberos-site.ts';
import { base64, ntlmMessage } from '#test/providers/kerberos/built-tokens.ts';
import type { FrontProxy } from '#test/servers/front-proxy.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { fetchLargeTicket } from '#test/servers/large-ticket.ts';
import { protectedServer, startNginx } from '#test/servers/nginx.ts';
import { type Received, startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { type DomainChromium, launchDomainChromium } from '#test/support/chromium.ts';
import { ask } from '#test/support/http-client.ts';

let kdc: Kdc;
let gateway: TestGateway;
let application: TestUpstream;
let nginx: FrontProxy;
let folder: string;
let tickets: Readonly<Record<string, string>>;
const resources = new AsyncDisposableStack();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vratar-site-'));
  resources.defer(async () => await rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'handbook'));
  for (const page of ['index.html', 'handbook/index.html', 'app.html'])
    await writeFile(join(folder, page), `page ${page}`);
  kdc = resources.use(await startKdc({ services: [...services, 'HTTP/files.localhost'] }));
  tickets = await kdc.signIn('alice');
  application = resources.use(await startUpstream());
  const config = kerberosConfig(kdc);
  const applications = config['applications'] as readonly Record<string, unknown>[];
  gateway = resources.use(
    await startGateway({
      config: {
        ...config,
        applications: [
          ...applications.map(({ upstream: _none, ...rest }) => rest),
          {
            name: 'files',
            hosts: ['files.localhost'],
            credentials: ['session', 'negotiate'],
            challenge: 'direct',
            rules: [{ access: 'authenticated' }],
          },
        ],
      },
    }),
  );
  nginx = resources.use(
    await startNginx({ gateway: `127.0.0.1:${gateway.port}`, servers: (port) => serverBlocks(port) }),
  );
});
after(async () => await resources.disposeAsync());

/** As an operator writes them: with tickets on the spot, by way of the sign-in page, and files that nginx serves itself. */
function serverBlocks(port: number): string {
  const upstream = `http://127.0.0.1:${application.port}`;
  return `
server {
  listen 127.0.0.1:${port};
  server_name wiki.localhost api.localhost;
  include snippets/vratar.conf;
  location / {
    include snippets/vratar-kerberos.conf;
    include snippets/vratar-protect.conf;
    proxy_pass ${upstream};
  }
}
${protectedServer({ port, application: upstream, hosts: ['plain.localhost', 'gw.localhost'] })}
server {
  listen 127.0.0.1:${port};
  server_name files.localhost;
  include snippets/vratar.conf;
  root ${folder};
  index index.html;
  location / {
    include snippets/vratar-kerberos.conf;
    include snippets/vratar-protect.conf;
  }
  location /app/ {
    include snippets/vratar-kerberos.conf;
    include snippets/vratar-protect.conf;
    try_files $uri $uri/ /app.html;
  }
}`;
}

const siteOf = (host: string): string => `http://${host}:${nginx.port}`;

/** Statuses of the documents a navigation went through. */
async function open(page: Page, url: string): Promise<readonly number[]> {
  const statuses: number[] = [];
  const note = (response: {
    status: () => number;
    request: () => { isNavigationRequest: () => boolean };
  }) => {
    if (response.request().isNavigationRequest()) statuses.push(response.status());
  };
  page.on('response', note);
  await page.goto(url);
  page.off('response', note);
  return statuses;
}

async function received(page: Page): Promise<Received> {
  return JSON.parse(await page.locator('body').innerText()) as Received;
}

describe('a person on a domain machine', () => {
  let chromium: DomainChromium;
  before(async () => {
    chromium = await launchDomainChromium(tickets, '*.localhost');
  });
  after(async () => await chromium[Symbol.asyncDispose]());

  for (const [name, host] of [
    ['by way of the sign-in page', 'plain.localhost'],
    ['on the spot', 'wiki.localhost'],
  ] as const) {
    test(`reaches the application without seeing a page, ${name}, with one ticket in all`, async () => {
      const before = await acceptsOf(gateway);
      const page = await chromium.context.newPage();
      const statuses = await open(page, `${siteOf(host)}/spaces/engineering?page=2`);
      assert.equal(page.url(), `${siteOf(host)}/spaces/engineering?page=2`);
      assert.equal(statuses.at(-1), 200, statuses.join());
      const { headers, target } = await received(page);
      assert.equal(target, '/spaces/engineering?page=2');
      assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
      assert.deepEqual(valuesOf(headers, 'authorization'), []);
      assert.doesNotMatch(valuesOf(headers, 'cookie').join(), /vratar/);
      assert.equal((await acceptsOf(gateway)) - before, 1);
      for (let i = 0; i < 3; i++) {
        await page.goto(`${siteOf(host)}/page/${i}`);
        assert.deepEqual(valuesOf((await received(page)).headers, 'remote-user'), ['alice']);
        const status = await page.evaluate(`fetch('/data/${i}').then((answer) => answer.status)`);
        assert.equal(status, 200);
      }
      assert.equal((await acceptsOf(gateway)) - before, 1);
      await page.close();
    });
  }

  for (const host of ['plain.localhost', 'wiki.localhost']) {
    test(`stays signed out on ${host} after a sign-out, until they try by hand`, async () => {
      const page = await chromium.context.newPage();
      await page.goto(`${siteOf(host)}/_vratar/logout`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${siteOf(host)}/_vratar/login`);
      const before = await acceptsOf(gateway);
      await page.goto(`${siteOf(host)}/spaces`);
      await page.getByLabel('Username').waitFor();
      await page.goto(`${siteOf(host)}/_vratar/`);
      await page.getByLabel('Username').waitFor();
      assert.equal(await acceptsOf(gateway), before);
      await page.goto(`${siteOf(host)}/_vratar/login?rd=${encodeURIComponent(`${siteOf(host)}/spaces`)}`);
      await page.getByRole('link', { name: 'Sign in with your domain account' }).click();
      await page.waitForURL(`${siteOf(host)}/spaces`);
      assert.deepEqual(valuesOf((await received(page)).headers, 'remote-user'), ['alice']);
      assert.equal((await acceptsOf(gateway)) - before, 1);
      await page.close();
    });
  }
});

describe('a person without', () => {
  const empty = { KRB5CCNAME: 'FILE:/nonexistent/tickets' };
  for (const [name, environment, allowedServers] of [
    ['a ticket', () => ({ ...tickets, ...empty }), '*.localhost'],
    ['the site among the servers their browser trusts', () => tickets, undefined],
  ] as const) {
    test(`${name} sees the form at once, and signs in with it`, async () => {
      await using chromium = await launchDomainChromium(environment(), allowedServers);
      const before = await acceptsOf(gateway);
      for (const host of ['plain.localhost', 'wiki.localhost']) {
        const page = await chromium.context.newPage();
        const statuses = await open(page, `${siteOf(host)}/spaces`);
        assert.equal(statuses.at(-1), 401, statuses.join());
        assert.equal(await page.getByRole('alert').count(), 0);
        await page.getByLabel('Username').fill('alice');
        await page.locator('#password').fill(gateway.passwords.get('staff:alice') as string);
        await page.keyboard.press('Enter');
        // Where the form was shown on the spot, the address does not change.
        await page.locator('body', { hasText: 'remote-user' }).waitFor();
        assert.equal(page.url(), `${siteOf(host)}/spaces`);
        assert.deepEqual(valuesOf((await received(page)).headers, 'remote-user'), ['alice']);
        await page.close();
      }
      assert.equal(await acceptsOf(gateway), before);
    });
  }
});

test('a machine that answers with NTLM gets the form and a cookie, and is not asked a second time', async () => {
  const ntlm = base64(ntlmMessage);
  for (const [host, path] of [
    ['plain.localhost', '/_vratar/negotiate?rd=/'],
    ['wiki.localhost', '/spaces'],
  ] as const) {
    const navigation = [
      ['Host', `${host}:${nginx.port}`],
      ['Sec-Fetch-Mode', 'navigate'],
      ['Accept', 'text/html'],
    ] as const;
    const asked = await ask({ port: nginx.port, path, headers: navigation });
    assert.equal(asked.status, 401);
    assert.deepEqual(asked.values('www-authenticate'), ['Negotiate'], host);
    const answer = await ask({
      port: nginx.port,
      path,
      headers: [...navigation, ['Authorization', `Negotiate ${ntlm}`]],
    });
    assert.equal(answer.status, 401);
    assert.deepEqual(answer.values('www-authenticate'), []);
    assert.match(answer.body, /id="username"/);
    const cookie = answer
      .values('set-cookie')
      .find((line) => line.startsWith('vratar-nosso=1; Max-Age=600;'));
    assert.ok(cookie !== undefined, answer.values('set-cookie').join());
    const again = await ask({
      port: nginx.port,
      path,
      headers: [...navigation, ['Cookie', 'vratar-nosso=1']],
    });
    if (host === 'wiki.localhost') assert.deepEqual(again.values('www-authenticate'), []);
  }
});

interface Fetched {
  readonly status: number;
  readonly body: string;
  readonly head: string;
}

/** `curl --negotiate` with the person's ticket, or without. */
async function curl(url: string, more: readonly string[] = [], environment = tickets): Promise<Fetched> {
  const args = ['--silent', '--show-error', '--include', '--negotiate', '--user', ':', ...more, url];
  const { stdout } = await promisify(execFile)('curl', args, { env: { ...process.env, ...environment } });
  const heads = stdout.split('\r\n\r\n');
  const head = heads.at(-2) ?? '';
  return { status: Number(/^HTTP\/\S+ (\d+)/.exec(head)?.[1]), head, body: heads.at(-1) ?? '' };
}

describe('curl --negotiate', () => {
  test('reaches an application through nginx, with the proof of the server', async () => {
    const before = await acceptsOf(gateway);
    const answer = await curl(`${siteOf('api.localhost')}/data`);
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual(valuesOf((JSON.parse(answer.body) as Received).headers, 'remote-user'), ['alice']);
    assert.match(answer.head, /\r\nwww-authenticate: Negotiate [A-Za-z0-9+/=]{100,}/i);
    assert.doesNotMatch(answer.head, /set-cookie/i);
    assert.equal((await acceptsOf(gateway)) - before, 1);
  });

  test('sends data once', async () => {
    const answer = await curl(`${siteOf('api.localhost')}/data`, ['--data', 'a=1']);
    assert.equal(answer.status, 200, answer.body);
    const { method, bodyBytes } = JSON.parse(answer.body) as Received;
    assert.deepEqual([method, bodyBytes], ['POST', 3]);
  });

  test('without a ticket is asked for one and told so', async () => {
    const answer = await curl(`${siteOf('api.localhost')}/data`, [], {
      ...tickets,
      KRB5CCNAME: 'FILE:/nonexistent/tickets',
    });
    assert.equal(answer.status, 401);
    assert.match(answer.head, /\r\nwww-authenticate: Negotiate(\r\n|$)/i);
    assert.match(answer.body, /SIGN_IN_REQUIRED/);
  });

  for (const [host, bytes, characters] of [
    ['api.localhost', 48_000, 64_000],
    ['wiki.localhost', 63_500, 84_600],
  ] as const) {
    test(`passes nginx and the gateway with a ticket of more than ${characters} characters`, async () => {
      const ofBob = await kdc.signIn('bob');
      await fetchLargeTicket(ofBob, `HTTP/${host}`, bytes);
      const before = await acceptsOf(gateway);
      const log = join(folder, `curl-${host}.log`);
      const answer = await curl(`${siteOf(host)}/data`, ['--trace-ascii', log], ofBob);
      assert.equal(answer.status, 200, answer.body);
      assert.deepEqual(valuesOf((JSON.parse(answer.body) as Received).headers, 'remote-user'), ['bob']);
      assert.equal((await acceptsOf(gateway)) - before, 1);
      const sent = /=> Send header, (\d+) bytes/.exec(await readFile(log, 'utf8'))?.[1];
      assert.ok(Number(sent) > characters, `${sent} bytes of head`);
    });
  }

  for (const [path, body] of [
    ['/', 'page index.html'],
    ['/handbook/', 'page handbook/index.html'],
    ['/index.html', 'page index.html'],
    ['/app/anything/below', 'page app.html'],
  ] as const) {
    test(`gets ${path}, which nginx finds by index and try_files, for one judgment`, async () => {
      const before = await acceptsOf(gateway);
      const answer = await curl(`${siteOf('files.localhost')}${path}`);
      assert.equal(answer.status, 200, answer.body);
      assert.equal(answer.body, body);
      assert.equal((await acceptsOf(gateway)) - before, 1);
    });
  }
});

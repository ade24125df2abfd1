import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { runTool } from '#test/servers/daemon.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { valuesOf } from '#test/servers/upstream.ts';
import { startWebSocketUpstream, type WebSocketUpstream } from '#test/servers/web-socket-upstream.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { freePort } from '#test/support/free-port.ts';

const artefacts = fileURLToPath(new URL('../../test-artefacts/alone/', import.meta.url));
const host = 'chat.localhost';
const patient = { timeout: 30_000 };

/** How the document on display came. */
async function protocolOf(page: Page): Promise<unknown> {
  return await page.evaluate(`performance.getEntriesByType('navigation')[0].nextHopProtocol`);
}

describe('a gateway with nothing in front of it', () => {
  let authority: Authority;
  let upstream: WebSocketUpstream;
  let gateway: GatewayProcess;
  let chromium: LaunchedChromium;
  let context: BrowserContext;
  let origin: string;

  before(async () => {
    mkdirSync(artefacts, { recursive: true });
    authority = await createAuthority();
    upstream = await startWebSocketUpstream();
    const port = await freePort();
    origin = `https://${host}:${port}`;
    gateway = await startGatewayProcess({
      server: {
        listen: `127.0.0.1:${port}`,
        publicUrl: origin,
        trustedProxies: [],
        workers: 2,
        tls: await authority.issue({ hosts: [host] }),
      },
      providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
      applications: [
        { name: 'chat', hosts: [host], upstream: upstream.url, rules: [{ access: 'authenticated' }] },
      ],
    });
    chromium = await launchChromium();
    // Chromium cannot be told of an authority for one run alone.
    context = await chromium.browser.newContext({ locale: 'en-US', ignoreHTTPSErrors: true });
  });
  after(async () => {
    await chromium[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });

  test('leads a browser over HTTP/2 from the sign-in page to a page that speaks WebSocket', async () => {
    const page = await context.newPage();
    await page.goto(`${origin}/rooms?id=1`);
    assert.match(page.url(), /\/_vratar\/login\?rd=/);
    assert.equal(await protocolOf(page), 'h2');
    await page.screenshot({ path: `${artefacts}1-sign-in.png` });

    await page.getByLabel('Username').fill('alice');
    await page.locator('#password').fill(await gateway.passwordOf('alice'));
    await page.keyboard.press('Enter');
    await page.waitForURL(`${origin}/rooms?id=1`, patient);
    assert.equal(await protocolOf(page), 'h2');
    await page.getByText('hello over wss').waitFor(patient);
    await page.screenshot({ path: `${artefacts}2-echo.png` });

    const [handshake] = upstream.handshakes;
    const { rawHeaders, url } = handshake ?? { rawHeaders: [], url: undefined };
    assert.equal(url, '/rooms?id=1');
    assert.deepEqual(valuesOf(rawHeaders, 'remote-user'), ['alice']);
    assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-proto'), ['https']);
    assert.doesNotMatch(valuesOf(rawHeaders, 'cookie').join(), /vratar/);
  });

  test('answers every request of a load over HTTP/2', async () => {
    const cookies = await context.cookies(origin);
    const output = await runTool('h2load', [
      '-t1',
      '-c4',
      '-m25',
      '-n1000',
      `--connect-to=127.0.0.1:${new URL(origin).port}`,
      `--header=cookie: ${cookies.map(({ name, value }) => `${name}=${value}`).join('; ')}`,
      `${origin}/`,
    ]);
    assert.match(output, /Application protocol: h2/);
    assert.match(output, /1000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(output, /status codes: 1000 2xx/);
  });

  test('closes the WebSocket of a person who signs out in another tab', async () => {
    const [chat] = context.pages();
    assert.ok(chat !== undefined);
    const portal = await context.newPage();
    await portal.goto(`${origin}/_vratar/`);
    await portal.getByRole('button', { name: 'Sign out' }).click();
    await portal.waitForURL(`${origin}/_vratar/login`, patient);
    await chat.waitForFunction(`document.title === 'closed 1008'`, undefined, patient);
    await chat.screenshot({ path: `${artefacts}3-signed-out.png` });
  });
});

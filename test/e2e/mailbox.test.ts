import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';
import { siteConfig } from '#test/gateway/site.ts';
import { key, startMail } from '#test/preauth/site.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startUpstream } from '#test/servers/upstream.ts';
import type { TestZimbra } from '#test/servers/zimbra.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { until } from '#test/support/until.ts';

const mailbox = { account: '${username}@example.test', domains: { 'example.test': { preauthKey: key } } };

let chromium: LaunchedChromium;
let mail: TestZimbra;
let gateway: TestGateway;
/** The gateway as the browser knows it: another site than the mail server's. */
let origin: string;
before(async () => {
  [chromium, mail] = await Promise.all([launchChromium(), startMail()]);
  gateway = await startGateway({
    config: siteConfig(undefined, {
      server: { publicUrl: 'http://localhost' },
      zimbra: [
        { name: 'mail', title: 'Mail', url: mail.url, ...mailbox },
        { name: 'post', title: 'Post', url: mail.url, interface: 'soap', ...mailbox },
      ],
    }),
  });
  origin = `http://localhost:${gateway.port}`;
});
after(async () => {
  await chromium[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await mail[Symbol.asyncDispose]();
});

async function browsing(work: (page: Page, context: BrowserContext) => Promise<void>): Promise<void> {
  const context = await chromium.browser.newContext({ locale: 'en-GB' });
  try {
    await work(await context.newPage(), context);
  } finally {
    await context.close();
  }
}

async function signIn(page: Page, username: string): Promise<void> {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(gateway.passwords.get(`staff:${username}`) as string);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

describe('in a browser', () => {
  test('sign-in page, tile, mailbox; and signing out here ends the session there', async () => {
    await browsing(async (page) => {
      await page.goto(`${origin}/_vratar/login`);
      await signIn(page, 'alice');
      await page.getByRole('link', { name: /^Mail\b/ }).click();
      await page.waitForURL(`${mail.url}/zimbra/mail`);
      assert.equal(await page.title(), 'Mailbox of alice@example.test');
      // The mail server learns nothing of where they came from, and its pages pass no link on.
      const entered = mail.requests.filter(({ target }) => target.startsWith('/service/preauth?'));
      assert.ok(entered.length > 0 && entered.every(({ referer }) => referer === undefined));

      await page.goto(`${origin}/_vratar/`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${origin}/_vratar/login`);
      await until(() => !mail.sessions.includes('alice@example.test'), {
        what: 'the end of the mail session',
        timeoutMs: 20_000,
      });
      await page.goto(`${mail.url}/zimbra/mail`);
      assert.equal(await page.title(), 'Web Client Log In');
    });
  });

  for (const [name, path] of [
    ['by link', '/_vratar/zimbra/mail'],
    ['over SOAP', '/_vratar/zimbra/post'],
  ] as const) {
    test(`a bookmark of a new message leads through the sign-in page straight to it, ${name}`, async () => {
      await browsing(async (page) => {
        await page.goto(`${origin}${path}?app=mail&view=compose`);
        await signIn(page, 'root1');
        await page.waitForURL(`${mail.url}/zimbra/mail?app=mail&view=compose`);
        assert.equal(await page.title(), 'Mailbox of root1@example.test');
      });
    });
  }

  test('another site opens no mailbox by an image or a frame, and a link of its leads to the tiles', async () => {
    await using foreign = await startUpstream((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end(
        `<!doctype html><img src="${origin}/_vratar/zimbra/mail" alt=""><iframe src="${origin}/_vratar/zimbra/mail"></iframe><a href="${origin}/_vratar/zimbra/mail">mail</a>`,
      );
    });
    await browsing(async (page) => {
      await page.goto(`${origin}/_vratar/login`);
      await signIn(page, 'root1');
      await page.waitForURL(`${origin}/_vratar/`);
      const entered = (): number =>
        mail.requests.filter(({ target }) => target.startsWith('/service/preauth?')).length;
      const before = entered();
      await page.goto(`http://127.0.0.1:${foreign.port}/`);
      await page.getByRole('link', { name: 'mail' }).click();
      await page.waitForURL(`${origin}/_vratar/`);
      assert.equal(entered(), before);
    });
  });
});

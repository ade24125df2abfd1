/** A browser whose session ends while a form is being filled in: over TLS, with two workers and the real application. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { sessions } from '#src/cli/sessions.ts';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { startUpstream, type TestUpstream } from '#test/servers/upstream.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { runCommand } from '#test/support/command-run.ts';
import { until } from '#test/support/until.ts';

const artefacts = fileURLToPath(new URL('../../test-artefacts/kept-form/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'vratar-kept-form-'));
const host = 'app.localhost';
const text = 'первая строка\r\n"second" <b>line</b> & more';

let authority: Authority;
let application: TestUpstream;
let foreign: TestUpstream;
let gateway: GatewayProcess;
let chromium: LaunchedChromium;
let context: BrowserContext;
let page: Page;
/** What the application was sent by POST. */
const arrived: { readonly body: string; readonly cookie: string }[] = [];

const formPage = (action: string): string =>
  '<!doctype html><html lang="en"><title>A form</title>' +
  `<form method="post" action="${action}"><label>Text <textarea name="text"></textarea></label>` +
  '<input type="hidden" name="tag" value="a"><input type="hidden" name="tag" value="b">' +
  '<button>Save</button></form></html>';

function answer(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'POST') {
      arrived.push({ body: Buffer.concat(chunks).toString(), cookie: request.headers.cookie ?? '' });
      response.writeHead(303, { Location: '/saved' }).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(
      request.url === '/saved' ? '<!doctype html><title>Saved</title><p>Saved' : formPage('/save?page=1'),
    );
  });
}

const origin = (): string => `https://${host}:${gateway.port}`;

before(async () => {
  mkdirSync(artefacts, { recursive: true });
  authority = await createAuthority();
  const { certificateFile, keyFile } = await authority.issue({ hosts: [host] });
  application = await startUpstream(answer);
  foreign = await startUpstream((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(formPage(`${origin()}/save?page=1`));
  });
  gateway = await startGatewayProcess(
    {
      server: { publicUrl: `https://${host}`, workers: 2, tls: { certificateFile, keyFile } },
      providers: [
        { name: 'staff', type: 'local', users: [{ username: 'alice', displayName: 'Alice Example' }] },
      ],
      applications: [
        {
          name: 'app',
          title: 'Notes',
          hosts: [host],
          upstream: application.url,
          keepForms: true,
          rules: [{ access: 'authenticated' }],
        },
      ],
    },
    folder,
  );
  chromium = await launchChromium();
});
after(async () => {
  await chromium[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await foreign[Symbol.asyncDispose]();
  await application[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  arrived.length = 0;
  context = await chromium.browser.newContext({ locale: 'en-US', ignoreHTTPSErrors: true });
  page = await context.newPage();
});

afterEach(async () => await context.close());

async function signIn(): Promise<void> {
  await page.getByLabel('Username').fill('alice');
  await page.locator('#password').fill(await gateway.passwordOf('alice'));
  await page.keyboard.press('Enter');
}

/** As the administrator types it, awaited until no worker serves the session any more. */
async function endSessions(): Promise<void> {
  const { code } = await runCommand(sessions, ['revoke', '--user', 'staff:alice'], {
    env: { VRATAR_CONFIG: join(folder, 'vratar.yaml') },
  });
  assert.equal(code, 0);
  const cookies = await context.cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  // Each question on a connection of its own, so that both workers are asked.
  await until(
    async () => (await Promise.all(Array.from({ length: 8 }, () => isOut(cookie)))).every(Boolean),
    {
      what: 'the end of the session',
    },
  );
}

async function isOut(cookie: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const sent = secureRequest(
      {
        host: '127.0.0.1',
        port: gateway.port,
        path: '/_vratar/userinfo',
        agent: false,
        rejectUnauthorized: false,
        headers: { Host: host, Cookie: cookie },
      },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode === 401));
      },
    );
    sent.once('error', reject);
    sent.end();
  });
}

async function openForm(): Promise<void> {
  await page.goto(`${origin()}/new`);
  await signIn();
  await page.getByLabel('Text').fill(text.replaceAll('\r\n', '\n'));
}

describe('a session ends while a form is open', () => {
  test('the form is sent once, after the sign-in, when the person says so, and going back sends nothing', async () => {
    await openForm();
    await endSessions();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.waitForURL(/\/_vratar\/login\?rd=/);
    const ticket = (await context.cookies()).find(({ name }) => name === '__Host-vratar-form');
    assert.deepEqual(
      [ticket?.httpOnly, ticket?.secure, ticket?.sameSite, ticket?.path],
      [true, true, 'Lax', '/'],
    );

    await signIn();
    await page.getByRole('heading', { name: 'Send your form now?' }).waitFor();
    await page.screenshot({ path: `${artefacts}1-question.png` });
    const shown = await page.locator('main').innerText();
    assert.match(shown, /Notes/);
    assert.match(shown, /Alice Example/);
    assert.ok(shown.includes(`${host}:${gateway.port}/save`));
    assert.equal(arrived.length, 0);

    await page.getByRole('button', { name: 'Send the form' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`${origin()}/saved`);
    assert.deepEqual(arrived, [
      {
        body: new URLSearchParams([
          ['text', text],
          ['tag', 'a'],
          ['tag', 'b'],
        ]).toString(),
        cookie: '',
      },
    ]);

    await page.goBack();
    await page.getByRole('heading', { name: 'The form is no longer there' }).waitFor();
    await page.screenshot({ path: `${artefacts}2-gone.png` });
    await page.reload();
    await page.getByRole('link', { name: 'Back to the page' }).waitFor();
    assert.equal(arrived.length, 1);
    assert.doesNotMatch(JSON.stringify(gateway.logs), /line<|%D0%BF/);
  });

  test('a form that another site sends is not kept', async () => {
    await openForm();
    await endSessions();
    await page.goto(`http://foreign.localhost:${foreign.port}/`);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.waitForURL(/\/_vratar\/login\?rd=/);
    await signIn();
    await page.waitForURL(`${origin()}/save?page=1`);
    assert.equal(arrived.length, 0);
    assert.ok(!(await context.cookies()).some(({ name }) => name === '__Host-vratar-form'));
  });

  test('a script is told where to sign in and that it may try again', async () => {
    await openForm();
    await endSessions();
    const told = await page.evaluate<{
      status: number;
      body: { error: string; signIn: string; retry: boolean };
    }>(
      `fetch('/save', { method: 'POST', body: new URLSearchParams({ text: 'x' }) })
         .then(async (answer) => ({ status: answer.status, body: await answer.json() }))`,
    );
    assert.equal(told.status, 401);
    assert.deepEqual([told.body.error, told.body.retry], ['SIGN_IN_REQUIRED', true]);
    assert.ok(told.body.signIn.startsWith(`${origin()}/_vratar/login?rd=`), told.body.signIn);
    assert.equal(arrived.length, 0);
  });
});

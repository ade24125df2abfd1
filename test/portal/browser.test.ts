/** The pages in a real browser: policy, keyboard, no JavaScript, and where a sent form may lead. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { messages } from '#src/portal/messages/by-language.ts';
import { createPages } from '#src/portal/pages.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { assets, portalModel, portalPath, samplePages, samples, signInModel } from './sample-pages.ts';
import { startSampleServer } from './sample-server.ts';

let chromium: LaunchedChromium;

before(async () => {
  // Names of other hosts without touching the machine's resolver.
  chromium = await launchChromium(['--host-resolver-rules=MAP *.example.test 127.0.0.1']);
});

after(async () => {
  await chromium[Symbol.asyncDispose]();
});

interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Everything the browser complained of. */
  readonly complaints: readonly string[];
}

async function visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context: BrowserContext = await chromium.browser.newContext(options);
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // Plain http to a host that is not loopback: browsers say that they ignore this header there.
    const isExpected = message.text().startsWith('The Cross-Origin-Opener-Policy header has been ignored');
    if (/^(error|warning)$/.test(message.type()) && !isExpected) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, complaints, [Symbol.asyncDispose]: async () => await context.close() };
}

const focusedId = 'document.activeElement.id || document.activeElement.type';

describe('the policy', () => {
  test('is kept by every page, and the style still applies', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}/sample/sign-in?lang=en`);
    for (const name of [...Object.keys(samples), 'whoami']) {
      await visited.page.goto(`${server.origin}/sample/${name}?lang=en`);
      const ground = await visited.page.evaluate('getComputedStyle(document.body).backgroundColor');
      assert.equal(ground, 'rgb(243, 246, 245)', name);
      // The answer to the page itself may be 401 or 503, which the browser notes too.
      const complaints = visited.complaints.filter(
        (text) => !/the server responded with a status of/.test(text),
      );
      assert.deepEqual(complaints, [], name);
    }
  });

  test('lets the sign-in form lead on to an application on another host', async () => {
    await using application = await startSampleServer();
    const port = new URL(application.origin).port;
    const pages = createPages({
      portalPath,
      assets,
      formTargets: ['http://*.example.test'],
      signInOrigin: 'http://127.0.0.1',
    });
    await using server = await startSampleServer(pages);
    server.redirectFormsTo = `http://wiki.example.test:${port}/sample/portal`;
    await using visited = await visit(`${server.origin}${portalPath}/login`);
    await visited.page.fill('#username', 'ann');
    await visited.page.fill('#password', 'secret');
    await visited.page.click('button[type=submit]');
    await visited.page.waitForURL(server.redirectFormsTo);
    assert.deepEqual(visited.complaints, []);
  });

  test('stops a sign-in form that would lead anywhere else', async () => {
    await using elsewhere = await startSampleServer();
    const port = new URL(elsewhere.origin).port;
    await using server = await startSampleServer();
    server.redirectFormsTo = `http://evil.example.test:${port}/sample/portal`;
    await using visited = await visit(`${server.origin}${portalPath}/login`);
    const refused = visited.page.waitForEvent('console', (message) => /form-action/.test(message.text()));
    await visited.page.fill('#username', 'ann');
    await visited.page.fill('#password', 'secret');
    await visited.page.press('#password', 'Enter');
    await refused;
    assert.equal(new URL(visited.page.url()).host, new URL(server.origin).host);
  });
});

describe('the sign-in page by keyboard alone', () => {
  test('goes from username to password to the button, and Enter sends the form', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}${portalPath}/login?lang=en`);
    const { page } = visited;
    assert.equal(await page.evaluate(focusedId), 'username');
    await page.keyboard.type('ann');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(focusedId), 'password');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(focusedId), 'submit');
    await page.keyboard.press('Shift+Tab');
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);

    const [form] = server.forms;
    assert.ok(form);
    assert.equal(form.path, `${portalPath}/login`);
    assert.deepEqual(Object.fromEntries(form.fields), {
      csrf: signInModel.csrf,
      rd: signInModel.returnTo,
      username: 'ann',
      password: 'wrong',
    });
    // With Referrer-Policy: no-referrer this would read "null" and the gateway would refuse its own form.
    assert.equal(form.headers.origin, server.origin);

    assert.equal(await page.textContent('[role=alert]'), messages.en.signIn.rejected);
    assert.equal(await page.inputValue('#username'), 'ann');
    assert.equal(await page.evaluate(focusedId), 'password');
  });

  test('sends nothing while a field is empty', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}${portalPath}/login?lang=en`);
    await visited.page.fill('#username', 'ann');
    await visited.page.press('#username', 'Enter');
    assert.equal(await visited.page.evaluate(focusedId), 'password');
    assert.equal(server.forms.length, 0);
  });

  test('shows where the focus is', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}/sample/portal?lang=en`);
    const { page } = visited;
    const stops: string[] = [];
    for (let i = 0; i < 4; i++) {
      await page.keyboard.press('Tab');
      stops.push(
        await page.evaluate<string>('document.activeElement.className || document.activeElement.type'),
      );
      assert.match(
        await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle'),
        /solid/,
      );
    }
    assert.deepEqual(stops, ['brand', 'button', 'tile', 'tile']);
  });
});

describe('the page for a new password by keyboard alone', () => {
  test('goes from the current password to the new ones to the button, and Enter sends all of them', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}/sample/password-form?lang=en`, {
      javaScriptEnabled: false,
    });
    const { page } = visited;
    const stops: string[] = [];
    for (const text of ['old', 'new', 'new']) {
      stops.push(await page.locator(':focus').evaluate((element: { id: string }) => element.id));
      await page.keyboard.type(text);
      await page.keyboard.press('Tab');
    }
    assert.deepEqual(stops, ['password', 'newPassword', 'newPasswordAgain']);
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    const [form] = server.forms;
    assert.ok(form);
    assert.equal(form.path, `${portalPath}/password`);
    assert.deepEqual(Object.fromEntries(form.fields), {
      csrf: signInModel.csrf,
      rd: signInModel.returnTo,
      provider: 'corp',
      username: 'amelie.horvat',
      password: 'old',
      newPassword: 'new',
      newPasswordAgain: 'new',
    });
  });
});

describe('without JavaScript', () => {
  test('a person signs in, is told of a mistake, and changes the language', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}${portalPath}/login?lang=en`, {
      javaScriptEnabled: false,
    });
    const { page } = visited;
    await page.fill('#username', 'ann');
    await page.fill('#password', 'wrong');
    await page.click('button[type=submit]');
    assert.equal(await page.textContent('[role=alert]'), messages.en.signIn.rejected);
    await page.click('a[hreflang=hr]');
    assert.equal(await page.getAttribute('html', 'lang'), 'hr');
    assert.equal(new URL(page.url()).searchParams.get('rd'), signInModel.returnTo);
    assert.equal(await page.textContent('h1'), messages.hr.signIn.title);
  });

  test('groups unfold on the portal', async () => {
    await using server = await startSampleServer();
    await using visited = await visit(`${server.origin}/sample/portal?lang=en`, { javaScriptEnabled: false });
    assert.equal(await visited.page.isVisible('details li'), false);
    await visited.page.click('summary');
    assert.equal(await visited.page.isVisible('details li'), true);
  });
});

test('a browser reads hostile names as text and nothing else', async () => {
  await using server = await startSampleServer();
  await using visited = await visit(`${server.origin}/sample/sign-out`);
  const values = fc.sample(
    fc
      .array(
        fc.constantFrom(
          '<',
          '>',
          '"',
          "'",
          '&',
          '<script>',
          '</bdi>',
          '<img src=x onerror=y>',
          '&lt',
          '&#x3c;',
          '-->',
          'a',
          'я',
        ),
        {
          minLength: 1,
        },
      )
      .map((parts) => parts.join('')),
    200,
  );
  const documents = values.map((value) =>
    samplePages
      .portal({ ...portalModel, principal: { ...portalModel.principal, displayName: value } }, 'en')
      .body.toString(),
  );
  // As text, because the types of a browser are not those of this program.
  const read: unknown = await visited.page.evaluate(`${JSON.stringify(documents)}.map((text) => {
    const parsed = new DOMParser().parseFromString(text, 'text/html');
    return [parsed.querySelector('.person-name').textContent, parsed.querySelectorAll('script, [onerror]').length];
  })`);
  assert.deepEqual(
    read,
    values.map((value) => [value, 0]),
  );
});

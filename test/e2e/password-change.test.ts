/** A person in a browser without JavaScript whose password has to be changed, behind nginx, with two workers and slapd's policies. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { messages } from '#src/portal/messages/by-language.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { policiesBase } from '#test/servers/slapd-data.ts';
import { type Received, valuesOf } from '#test/servers/upstream.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { type CorporateSite, startCorporateSite } from './corporate-site.ts';

const artefacts = fileURLToPath(new URL('../../test-artefacts/password-change/', import.meta.url));
const fresh = 'Нова-лозинка-2026';
const text = messages.hr;

let slapd: Slapd;
let site: CorporateSite;
let chromium: LaunchedChromium;
before(async () => {
  mkdirSync(artefacts, { recursive: true });
  slapd = await startSlapd({
    people: [
      {
        uid: 'iva',
        password: 'privremena-1',
        displayName: 'Iva Horvat',
        attributes: { pwdReset: 'TRUE', pwdPolicySubentry: `cn=rules,${policiesBase}` },
      },
    ],
  });
  site = await startCorporateSite(slapd, {
    applications: [
      { name: 'wiki', title: 'Wiki', hosts: ['wiki.example.test'], rules: [{ access: 'authenticated' }] },
    ],
  });
  chromium = await launchChromium(['--host-resolver-rules=MAP *.example.test 127.0.0.1']);
});
after(async () => {
  await chromium[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
  await slapd[Symbol.asyncDispose]();
});

/** What a screen reader is told without being asked. */
async function notice(page: Page, role: 'alert' | 'status'): Promise<string> {
  return await page.getByRole(role).innerText();
}

async function fillIn(page: Page, [current, next, again]: readonly [string, string, string]): Promise<void> {
  await page.getByLabel(text.passwordChange.current).fill(current);
  await page.getByLabel(text.passwordChange.fresh, { exact: true }).fill(next);
  await page.getByLabel(text.passwordChange.again).fill(again);
  await page.keyboard.press('Enter');
}

test('a temporary password becomes a new one on the way to the page that was asked for', async () => {
  const origin = `http://wiki.example.test:${site.nginx.port}`;
  const context = await chromium.browser.newContext({ locale: 'hr-HR', javaScriptEnabled: false });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  await page.goto(`${origin}/spaces/engineering?page=2`);
  await page.locator('#username').fill('iva');
  await page.locator('#password').fill('privremena-1');
  await page.keyboard.press('Enter');
  await page.locator('#newPassword').waitFor();
  assert.equal(await notice(page, 'status'), text.passwordChange.mustChange);
  assert.equal(await page.locator('#username').inputValue(), 'iva');
  assert.equal(await page.locator(':focus').getAttribute('id'), 'password');
  await page.screenshot({ path: `${artefacts}1-must-change.png`, fullPage: true });

  const refusals: readonly (readonly [fields: [string, string, string], expect: string])[] = [
    [['privremena-1', fresh, `${fresh}!`], text.passwordChange.refusals.mismatch],
    [
      ['privremena-1', 'kratka', 'kratka'],
      `${text.passwordChange.refusals['too-short']} ${text.passwordChange.kept}`,
    ],
    [['pogrešna', fresh, fresh], text.signIn.rejected],
  ];
  for (const [number, [fields, expect]] of refusals.entries()) {
    await Promise.all([page.waitForEvent('domcontentloaded'), fillIn(page, fields)]);
    assert.equal(await notice(page, 'alert'), expect);
    assert.equal(await page.locator('#password').inputValue(), '');
    await page.screenshot({ path: `${artefacts}${number + 2}-refused.png`, fullPage: true });
  }

  await fillIn(page, ['privremena-1', fresh, fresh]);
  await page.waitForURL(`${origin}/spaces/engineering?page=2`);
  const { headers } = JSON.parse(await page.locator('body').innerText()) as Received;
  assert.deepEqual(valuesOf(headers, 'remote-user'), ['iva']);
  await context.close();

  const next = await chromium.browser.newContext({ locale: 'hr-HR' });
  const later = await next.newPage();
  later.setDefaultTimeout(20_000);
  await later.goto(`${origin}/spaces/engineering`);
  for (const password of ['privremena-1', fresh]) {
    await later.locator('#username').fill('iva');
    await later.locator('#password').fill(password);
    await later.keyboard.press('Enter');
    if (password !== fresh) assert.equal(await notice(later, 'alert'), text.signIn.rejected);
  }
  await later.waitForURL(`${origin}/spaces/engineering`);
  await next.close();
});

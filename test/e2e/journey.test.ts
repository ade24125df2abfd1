import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { type Received, valuesOf } from '#test/servers/upstream.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { ask } from '#test/support/http-client.ts';
import { type CorporateSite, startCorporateSite } from './corporate-site.ts';

const artefacts = fileURLToPath(new URL('../../test-artefacts/journey/', import.meta.url));

let slapd: Slapd;
let site: CorporateSite;
let chromium: LaunchedChromium;
before(async () => {
  mkdirSync(artefacts, { recursive: true });
  slapd = await startSlapd({ bulk: { people: 10_000, teams: 200 } });
  site = await startCorporateSite(slapd);
  chromium = await launchChromium(['--host-resolver-rules=MAP *.example.test 127.0.0.1']);
});
after(async () => {
  await chromium[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
  await slapd[Symbol.asyncDispose]();
});

async function snap(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${artefacts}${name}.png` });
}

/** What the application received for the page on display. */
async function received(page: Page): Promise<Received> {
  return JSON.parse(await page.locator('body').innerText()) as Received;
}

describe('a person opens an application behind nginx', () => {
  test('signs in with the directory, comes back to the page asked for, and signs out', async () => {
    const origin = `http://wiki.example.test:${site.nginx.port}`;
    const forged = [
      'Remote-User',
      'Remote_User',
      'Remote-Groups',
      'Remote-Roles',
      'Remote-Groups-Overflow',
      'X-Original-URL',
      'X-Rewrite-URL',
    ];
    const context = await chromium.browser.newContext({
      locale: 'en-US',
      extraHTTPHeaders: Object.fromEntries(forged.map((name) => [name, 'forged'])),
    });
    const page = await context.newPage();

    await page.goto(`${origin}/spaces/engineering?page=2&q=%D1%8F`);
    assert.match(page.url(), /\/_vratar\/login\?rd=/);
    await snap(page, '1-sign-in');

    await page.getByLabel('Username').fill('ivan');
    await page.locator('#password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await snap(page, '2-wrong-password');
    assert.equal(await page.locator('#username').inputValue(), 'ivan');

    await page.locator('#password').fill('пароль-Ивана');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${origin}/spaces/engineering?page=2&q=%D1%8F`);
    const { headers, target } = await received(page);
    assert.equal(target, '/spaces/engineering?page=2&q=%D1%8F');
    assert.deepEqual(valuesOf(headers, 'remote-user'), ['ivan']);
    assert.equal(
      Buffer.from(valuesOf(headers, 'remote-name').join(), 'latin1').toString('utf8'),
      'Иван Петров',
    );
    assert.deepEqual(
      valuesOf(headers, 'remote-groups')
        .join()
        .split(',')
        .sort((a, b) => a.localeCompare(b)),
      ['employees', 'everyone', 'staff'],
    );
    assert.deepEqual(valuesOf(headers, 'remote-email'), ['ivan@example.test']);
    assert.ok(!headers.includes('forged'), JSON.stringify(headers));
    assert.doesNotMatch(valuesOf(headers, 'cookie').join(), /vratar/);

    const denied = await page.goto(`${origin}/admin/x`);
    assert.equal(denied?.status(), 403);

    await page.goto(`${origin}/_vratar/`);
    await page.getByRole('link', { name: /Wiki/ }).waitFor();
    await snap(page, '3-portal');

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(`${origin}/_vratar/login`);
    await snap(page, '4-signed-out');
    await page.goto(`${origin}/spaces/engineering`);
    assert.match(page.url(), /\/_vratar\/login\?rd=/);
    await context.close();
  });

  test('is never shown a redirect where a script asks for data', async () => {
    const answer = await ask({
      port: site.nginx.port,
      path: '/api',
      headers: [
        ['Host', 'wiki.example.test'],
        ['Sec-Fetch-Mode', 'cors'],
        ['Accept', '*/*'],
      ],
    });
    assert.equal(answer.status, 401);
  });
});

test('the log of the journey holds its audit trail and none of its secrets', () => {
  const events = site.gateway.logs.filter((line) => line['audit'] === true).map(({ event }) => event);
  for (const event of ['sign-in.refused', 'sign-in.accepted', 'access.denied', 'sign-out'])
    assert.ok(events.includes(event), event);
  assert.doesNotMatch(JSON.stringify(site.gateway.logs), /пароль|vratar-password/);
});

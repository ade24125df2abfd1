/** Every page in every language and theme before axe-core, and pictures of them in test-artefacts/portal to look at. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { type Language, languages } from '#src/portal/language.ts';
import { axeViolations } from '#test/support/axe.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { samples } from './sample-pages.ts';
import { type SampleServer, startSampleServer } from './sample-server.ts';

const pictures = fileURLToPath(new URL('../../test-artefacts/portal/', import.meta.url));
const names = [...Object.keys(samples), 'whoami'];
const phone = { width: 390, height: 844 };
const desktop = { width: 1_440, height: 900 };
/** A window of 1280 px at 400 % (WCAG 2.2, 1.4.10 Reflow). */
const narrowest = { width: 320, height: 256 };

let chromium: LaunchedChromium;
let server: SampleServer;

before(async () => {
  await mkdir(pictures, { recursive: true });
  chromium = await launchChromium();
  server = await startSampleServer();
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await chromium[Symbol.asyncDispose]();
});

/** How far the page is wider than the window, in pixels: what a phone would have to scroll sideways. */
async function sidewaysScroll(page: Page): Promise<number> {
  return await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
}

for (const name of names) {
  test(`${name} has no violation in any language and theme, and never scrolls sideways`, async () => {
    // Without motion a change of theme takes effect at once, so one loading serves both.
    const context = await chromium.browser.newContext({ bypassCSP: true, reducedMotion: 'reduce' });
    try {
      const page = await context.newPage();
      for (const language of languagesOf(name)) {
        await page.goto(`${server.origin}/sample/${name}?lang=${language}`);
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          for (const viewport of [desktop, phone]) {
            await page.setViewportSize(viewport);
            // Words differ by language and colours by theme; the width changes neither, so it is checked once.
            if (viewport === desktop || (language === 'en' && colorScheme === 'light')) {
              assert.deepEqual(await axeViolations(page), [], `${language}, ${colorScheme}`);
            }
            if (language !== 'en') continue;
            await page.screenshot({
              path: `${pictures}${name}-${colorScheme}-${viewport.width}.png`,
              fullPage: true,
            });
          }
        }
        for (const viewport of [phone, narrowest]) {
          await page.setViewportSize(viewport);
          assert.ok((await sidewaysScroll(page)) <= 0, `${language} fits ${viewport.width} px`);
        }
      }
    } finally {
      await context.close();
    }
  });
}

/** The echo page speaks English only. */
function languagesOf(name: string): readonly Language[] {
  return name === 'whoami' ? ['en'] : languages;
}

test('the check finds what is wrong: a field without a label', async () => {
  const context = await chromium.browser.newContext({ bypassCSP: true });
  try {
    const page = await context.newPage();
    await page.goto(`${server.origin}/sample/sign-in`);
    await page.evaluate('document.querySelector("label[for=password]").remove()');
    assert.deepEqual(await axeViolations(page), ['label: #password']);
  } finally {
    await context.close();
  }
});

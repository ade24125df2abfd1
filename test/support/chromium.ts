/** Debian's Chromium under playwright-core: a fresh profile per launch, and nothing left behind. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

export interface LaunchedChromium extends AsyncDisposable {
  readonly browser: Browser;
}

/** Throws when Chromium is not installed: a suite that passes without looking at its pages would be worth nothing. */
export async function launchChromium(extraArgs: readonly string[] = []): Promise<LaunchedChromium> {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is missing: install it with "apt-get install chromium"`);
  }
  // The browser writes crash and font caches below HOME, which an ordinary test user may not even have.
  const home = await mkdtemp(join(tmpdir(), 'vratar-chromium-'));
  const isRoot = process.getuid?.() === 0;
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    // Chromium refuses its sandbox as root; the pages of the tests are our own.
    chromiumSandbox: !isRoot,
    env: {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_CACHE_HOME: join(home, 'cache'),
    },
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...extraArgs,
    ],
  });
  return {
    browser,
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Debian's Chromium under playwright-core: a fresh profile per launch, and nothing left behind. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

export interface LaunchedChromium extends AsyncDisposable {
  readonly browser: Browser;
}

export interface DomainChromium extends AsyncDisposable {
  readonly context: BrowserContext;
}

/** Throws when Chromium is not installed: a suite that passes without looking at its pages would be worth nothing. */
export async function launchChromium(extraArgs: readonly string[] = []): Promise<LaunchedChromium> {
  const home = await makeHome();
  const browser = await chromium.launch(optionsFor(home, extraArgs));
  return {
    browser,
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await removeHome(home);
    },
  };
}

/**
 * The browser of a domain machine: one profile, the person's tickets in the environment (KRB5_CONFIG, KRB5CCNAME), and
 * the names, such as `*.localhost`, whose servers may ask for one; none: Chromium answers no challenge.
 */
export async function launchDomainChromium(
  environment: Readonly<Record<string, string>>,
  allowedServers: string | undefined,
): Promise<DomainChromium> {
  const home = await makeHome();
  const profile = join(home, 'profile');
  // The network service loads GSSAPI at its start only when an earlier run has met a challenge; this one shall.
  await mkdir(profile);
  await writeFile(join(profile, 'Local State'), '{"net":{"received_http_auth_negotiate_headers":true}}');
  const args = allowedServers === undefined ? [] : [`--auth-server-allowlist=${allowedServers}`];
  const options = optionsFor(home, args);
  const context = await chromium.launchPersistentContext(profile, {
    ...options,
    env: { ...options.env, ...environment },
    locale: 'en-US',
  });
  return {
    context,
    [Symbol.asyncDispose]: async () => {
      await context.close();
      await removeHome(home);
    },
  };
}

/** The browser writes crash and font caches below HOME, which an ordinary test user may not even have. */
async function makeHome(): Promise<string> {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is missing: install it with "apt-get install chromium"`);
  }
  return await mkdtemp(join(tmpdir(), 'vratar-chromium-'));
}

async function removeHome(home: string): Promise<void> {
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
}

function optionsFor(home: string, extraArgs: readonly string[]) {
  const isRoot = process.getuid?.() === 0;
  return {
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
  };
}

/** Accessibility checks by axe-core inside a page; the page's context needs `bypassCSP`, as our policy forbids every script. */
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** One line per violation, `rule: selector, selector`; none: an empty list. All rules, the "best practice" ones too. */
export async function axeViolations(page: Page): Promise<readonly string[]> {
  // Loading the 0.5 MB script costs as much as a run, so a page that is checked twice keeps it.
  if (!(await page.evaluate<boolean>('"axe" in globalThis'))) await page.addScriptTag({ path: axePath });
  const results = await page.evaluate<AxeResults>('axe.run({ resultTypes: ["violations"], iframes: false })');
  return results.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`,
  );
}

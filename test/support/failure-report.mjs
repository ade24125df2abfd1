/** A failed test as text: where it stands and everything the assertion knows. */
import { inspect } from 'node:util';

/**
 * @param {string} file path relative to the repository
 * @param {{ name: string, line?: number, details: { error: Error } }} failure a `test:fail` event
 */
export function failureReport(file, failure) {
  const error = failure.details.error;
  // The runner wraps what the test threw; its own stack only shows the runner.
  const cause = error.code === 'ERR_TEST_FAILURE' && error.cause !== undefined ? error.cause : error;
  const text = typeof cause === 'string' ? cause : inspect(cause, { depth: 6, maxStringLength: 20_000 });
  return `\n✖ ${file}:${failure.line ?? 1} ${failure.name}\n${text.replace(/^/gm, '    ')}\n\n`;
}

/** `vratar directory test` without an account: whether a directory works, and the first people it names. */
import type { DirectorySample } from '../directory/sample.ts';
import { printable } from './printable.ts';

export interface SampleReport extends DirectorySample {
  readonly directory: string;
  readonly verdict: 'accepted' | 'misconfigured' | 'unavailable';
  readonly sentence: string;
}

/** What waiting may heal. */
const outages: ReadonlySet<string> = new Set(['unreachable', 'not-answering']);

export function toSampleReport(directory: string, sample: DirectorySample): SampleReport {
  const problems = sample.findings.filter(({ level }) => level === 'problem');
  const verdict =
    problems.length === 0
      ? 'accepted'
      : problems.every(({ code }) => outages.has(code))
        ? 'unavailable'
        : 'misconfigured';
  const why = problems.map(({ server, message }) =>
    server === undefined ? message : `${server}: ${message}`,
  );
  const sentence =
    verdict === 'accepted'
      ? `${directory} works.`
      : `${directory} does not work${sample.people.length === 0 ? '' : ' as it should'}: ${why.join(' ')}`;
  return { ...sample, directory, verdict, sentence };
}

export function sampleText({ directory, people, findings, sentence }: SampleReport): string {
  const lines = people.flatMap(({ dn, attributes, state }) => [
    `  ${dn}`,
    ...attributes
      .filter(({ values }) => values.length > 0)
      .map(
        ({ name, attribute, values }) => `    ${`${name} (${attribute})`.padEnd(32)}  ${values.join(' | ')}`,
      ),
    `    ${'status'.padEnd(32)}  ${state ?? 'may sign in'}`,
  ]);
  const warnings = findings
    .filter(({ level }) => level === 'warning')
    .map(({ server, message }) => `warning: ${server === undefined ? '' : `${server}: `}${message}`);
  return `${[`directory ${directory}`, ...lines, ...warnings, sentence].map(printable).join('\n')}\n`;
}

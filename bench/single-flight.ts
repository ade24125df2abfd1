/**
 * How often a directory is asked when a thousand callers want the same person at once: searches for the person, and
 * questions about each of their groups, counted in the server's own log.
 */
import { openDirectory, type TestDirectory } from '#test/directory/directories.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { printConditions, report } from './harness/report.ts';

const callers = 1_000;

export async function run(): Promise<boolean> {
  await using server = await startSlapd({ bulk: { people: 10_000, teams: 200 } });
  await using first = openDirectory({ servers: [server.url] });
  const outcome = await first.verify('u000042', 'password-000042');
  if (outcome.kind !== 'verified') throw new Error(`the sign-in ended as ${outcome.reason}`);
  const { person } = outcome;
  const results: boolean[] = [];
  results.push(
    ...(await measure('look-ups', server, async (cold) => {
      const found = await cold.directory.lookup(person, AbortSignal.timeout(10_000));
      if (found.kind !== 'found' || found.stale) throw new Error(`a look-up ended as ${found.kind}`);
    })),
    ...(await measure('sign-ins', server, async (cold) => {
      const judged = await cold.judge('u000042', 'password-000042');
      if (judged !== 'verified') throw new Error(`a sign-in ended as ${judged}`);
    })),
  );
  return results.every(Boolean);
}

async function measure(
  what: string,
  server: Slapd,
  call: (cold: TestDirectory) => Promise<void>,
): Promise<boolean[]> {
  await using cold = openDirectory({ servers: [server.url] });
  await server.clearOperations();
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: callers }, async () => await call(cold)));
  const tookMs = performance.now() - startedAt;
  const searches = (await server.operations()).filter(({ kind }) => kind === 'search');
  const questions = searches.map(({ filter }) => filter);
  const ofPerson = questions.filter((filter) => filter.includes('(uid=u000042)')).length;
  const ofGroups = questions.filter((filter) => filter.includes('member='));
  const walks = Math.max(...ofGroups.map((filter) => ofGroups.filter((other) => other === filter).length));
  const detail = `${callers} at once in ${tookMs.toFixed(0)} ms, cache cold`;
  const unit = 'times';
  return [
    report({
      name: `${what} of one person, searches for the person`,
      value: ofPerson,
      limit: 1,
      unit,
      detail,
    }),
    report({
      name: `${what} of one person, questions about one group`,
      value: walks,
      limit: 1,
      unit,
      detail: `${ofGroups.length} steps of the walk`,
    }),
  ];
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

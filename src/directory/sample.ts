/** A directory without anybody in particular: whether it works, and the first few people it names. */
import type { Clock } from '../lib/clock.ts';
import { checkDirectory } from './check.ts';
import type { LdapEntry } from './entry.ts';
import { type EntryView, viewEntry } from './entry-view.ts';
import type { DirectoryFinding } from './finding.ts';
import { resolveSettings } from './kinds.ts';
import type { DirectoryOptions } from './options.ts';

export interface DirectorySample {
  readonly findings: readonly DirectoryFinding[];
  /** As the first server that named any has them. */
  readonly people: readonly EntryView[];
}

/** Failures of the directory are findings, not thrown. */
export async function sampleDirectory(
  options: DirectoryOptions,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<DirectorySample> {
  const settings = resolveSettings(options);
  const named = new Map<string, readonly LdapEntry[]>();
  const findings = await checkDirectory(options, {
    signal,
    clock,
    onPeople: (url, people) => named.set(url, people),
  });
  const [people = []] = [...named.values()].filter(({ length }) => length > 0);
  return { findings, people: people.map((entry) => viewEntry(entry, settings, clock.now())) };
}

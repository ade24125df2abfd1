/** What accepting tickets needs from this machine and from the keytab, before anything starts. */
import { installationFault } from '../../providers/kerberos/installation.ts';
import { type KeytabEntry, KeytabFormatError, readKeytab } from '../../providers/kerberos/keytab.ts';
import type { ConfigPath, Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

type TicketProvider = Extract<NonNullable<Readable['providers'][number]>, { type: 'kerberos' }>;

export function checkKerberos({ providers }: Readable): readonly Finding[] {
  const found: Finding[] = [];
  let first: TicketProvider | undefined;
  providers.forEach((provider, index) => {
    if (provider?.type !== 'kerberos') return;
    const at: ConfigPath = ['providers', index];
    const fault = installationFault();
    if (fault !== undefined) found.push({ path: [...at, 'type'], message: fault });
    found.push(...checkKeytab(provider, [...at, 'keytab']));
    if (provider.isolation !== 'none') return;
    if (first !== undefined && (first.keytab !== provider.keytab || first.replay !== provider.replay)) {
      const message = `is for one keytab in all: libkrb5's settings belong to the whole process, and ${first.name} has others`;
      found.push({ path: [...at, 'isolation'], message });
    }
    first ??= provider;
  });
  return found;
}

function checkKeytab({ keytab, principals }: TicketProvider, path: ConfigPath): readonly Finding[] {
  let entries: readonly KeytabEntry[];
  try {
    entries = readKeytab(keytab);
  } catch (error) {
    // A file that is missing or cannot be opened is reported with the reference to it.
    if (!(error instanceof KeytabFormatError)) return [];
    return [{ path, message: `${keytab} ${error.message}` }];
  }
  const isAccepted = ({ service }: KeytabEntry): boolean => /^HTTP\//i.test(service);
  if (principals !== undefined || entries.some(isAccepted)) return [];
  const held = [...new Set(entries.map(({ principal }) => principal))].slice(0, 3).join(', ');
  const message = `${keytab} has no key of an HTTP service${held === '' ? '' : `, only of ${held}`}`;
  return [{ path, message }];
}

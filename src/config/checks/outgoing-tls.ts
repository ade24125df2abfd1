/** What connections to directories, applications and mail servers over TLS need is in the files that are named for it. */
import { existsSync } from 'node:fs';
import { authoritiesFault, readTlsIdentity } from '../../lib/tls-identity.ts';
import type { Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export function checkOutgoingTls({ directories, applications, zimbra }: Readable): readonly Finding[] {
  return [
    ...directories.flatMap((directory, i) => fileFindings(['directories', i, 'tls'], directory?.tls)),
    ...applications.flatMap((application, i) =>
      fileFindings(['applications', i, 'proxy', 'tls'], application?.proxy.tls),
    ),
    ...zimbra.flatMap((mailbox, i) => fileFindings(['zimbra', i, 'tls'], mailbox?.tls)),
  ];
}

function fileFindings(path: Finding['path'], files: TlsFiles | undefined): readonly Finding[] {
  const caFile = present(files?.caFile);
  const certificateFile = present(files?.certificateFile);
  const keyFile = present(files?.keyFile);
  const findings: Finding[] = [];
  const fault = caFile === undefined ? undefined : authoritiesFault(caFile);
  if (fault !== undefined) findings.push({ path: [...path, 'caFile'], message: fault });
  if (certificateFile === undefined || keyFile === undefined) return findings;
  const read = readTlsIdentity({ certificateFile, keyFile });
  if (read.identity === undefined) findings.push({ path: [...path, read.file], message: read.fault });
  return findings;
}

/** One that is not there has been named already. */
function present(file: string | undefined): string | undefined {
  return file !== undefined && existsSync(file) ? file : undefined;
}

/** Passwords do not travel in clear text by accident. */
import { isLoopback } from '../../lib/loopback.ts';
import type { Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

export function checkDirectories({ directories }: Readable): readonly Finding[] {
  return directories.flatMap((directory, index): readonly Finding[] => {
    if (directory === undefined || directory.startTls || directory.allowPlaintext) return [];
    return directory.servers.flatMap((server, position): readonly Finding[] => {
      if (!server.startsWith('ldap:') || isLoopback(new URL(server).hostname)) return [];
      return [
        {
          path: ['directories', index, 'servers', position],
          message:
            'would carry passwords in clear text; use ldaps://, startTls: true, or allowPlaintext: true in a closed network',
        },
      ];
    });
  });
}

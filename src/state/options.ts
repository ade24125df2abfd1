/** Options of the shared state: sessions, counters, generated keys. */
import { z } from 'zod';
import { path } from '../lib/option-types.ts';

export const stateOptions = z.strictObject({
  driver: z.enum(['embedded']).default('embedded').describe('embedded: SQLite files of the primary process'),
  directory: path
    .prefault('./data')
    .describe('folder of the SQLite files and generated keys; created with mode 0700'),
});

export const keysOptions = z.strictObject({
  file: path
    .optional()
    .describe(
      'key ring that signs identity assertions, made at the first start; omitted: keys.json in state.directory',
    ),
});

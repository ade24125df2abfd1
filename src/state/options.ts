/** Options of the shared state: sessions, counters, generated keys. */
import { z } from 'zod';
import { path } from '../lib/option-types.ts';

export const stateOptions = z.strictObject({
  driver: z.enum(['embedded']).default('embedded').describe('embedded: SQLite files of the primary process'),
  directory: path
    .prefault('./data')
    .describe('folder of the SQLite files and generated keys; created with mode 0700'),
});

export type StateOptions = z.output<typeof stateOptions>;

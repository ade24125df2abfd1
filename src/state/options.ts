/** Options of the shared state: sessions, counters, generated keys. */
import { z } from 'zod';

export const stateOptions = z.strictObject({
  driver: z.enum(['embedded']).default('embedded').describe('embedded: SQLite files of the primary process'),
  directory: z
    .string()
    .min(1)
    .default('./data')
    .describe('folder of the SQLite files and generated keys; created with mode 0700'),
});

export type StateOptions = z.output<typeof stateOptions>;

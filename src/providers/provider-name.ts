/** Option types every provider has. */
import { z } from 'zod';

export const providerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or "-"')
  .describe('what rules and logs call it');
export const providerTitle = z
  .string()
  .min(1)
  .max(80)
  .optional()
  .describe('shown on the sign-in page; omitted: the name');

/** Options of the identity headers an application receives. */
import { z } from 'zod';

export const headersOptions = z.strictObject({
  preset: z.enum(['remote', 'authRequest', 'forwarded']).default('remote'),
  set: z
    .record(
      z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'expected a header name of letters, digits and "-"'),
      z.string().max(1_024),
    )
    .default({})
    .describe('further headers as templates: ${username}, ${attributes.NAME}, …'),
  separator: z
    .string()
    .min(1)
    .max(3)
    .regex(/^[\x20-\x7e]+$/, 'expected printable ASCII')
    .default(','),
  encoding: z
    .enum(['utf8', 'rfc8187', 'percent', 'base64'])
    .default('utf8')
    .describe('how values outside printable ASCII are sent'),
  groupNames: z.enum(['name', 'dn']).default('name'),
  groups: z
    .array(z.string().min(1))
    .default(['*'])
    .describe('which groups are sent: names with * as wildcard'),
  onAlias: z
    .enum(['strip', 'reject'])
    .default('strip')
    .describe('a client header that is a twin of an identity header'),
});

export type HeadersOptions = z.output<typeof headersOptions>;

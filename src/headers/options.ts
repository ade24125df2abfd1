/** Options of the identity headers an application receives. */
import { z } from 'zod';
import { size } from '../lib/option-types.ts';

export const headersOptions = z.strictObject({
  preset: z
    .enum(['remote', 'authRequest', 'forwarded'])
    .default('remote')
    .describe('names of the identity headers: Remote-*, X-Auth-Request-* or X-Forwarded-*'),
  set: z
    .record(
      z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'expected a header name of letters, digits and "-"'),
      // A line break here would start a header of its own in every request.
      z
        .string()
        .max(1_024)
        .regex(/^[^\p{Cc}]*$/u, 'must not contain line breaks or other control characters'),
    )
    .default({})
    .describe('further headers as templates: ${username}, ${attributes.NAME}, …'),
  separator: z
    .string()
    .min(1)
    .max(3)
    .regex(/^[\x20-\x7e]+$/, 'expected printable ASCII')
    .default(',')
    .describe('joins the items of lists'),
  encoding: z
    .enum(['utf8', 'rfc8187', 'percent', 'base64'])
    .default('utf8')
    .describe('how values outside printable ASCII are sent'),
  groupNames: z.enum(['name', 'dn']).default('name').describe('groups are sent as short names or as DNs'),
  groups: z
    .array(z.string().min(1))
    .default(['*'])
    .describe('which groups are sent: names with * as wildcard'),
  maxListBytes: size({ minBytes: 64, maxBytes: 65_536 })
    .prefault('4KiB')
    .describe('a longer list of groups or roles is not sent; Remote-Groups-Overflow then carries its length'),
  onAlias: z
    .enum(['strip', 'reject'])
    .default('strip')
    .describe('what happens to a client header that is a twin of an identity header'),
  assertion: z
    .boolean()
    .default(false)
    .describe('X-Vratar-Assertion, a signed JWT (ES256) with the same facts; keys at /_vratar/jwks.json'),
});

export type HeadersOptions = z.output<typeof headersOptions>;

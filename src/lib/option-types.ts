/**
 * Option value types shared by the configuration fragments: durations, sizes, networks, secrets and file paths as
 * operators write them. Reading the files a secret or path names is the loader's work, not this file's.
 */
import { z } from 'zod';
import { networkFault } from './address-set.ts';
import { Secret } from './secret.ts';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const unitBytes = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;

/** Labels of letters, digits and inner hyphens: no empty label, so `auth..cluster` is a mistake and not a name. */
export const hostNameSource: string =
  '[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*';

export interface DurationRange {
  readonly minMs?: number;
  readonly maxMs?: number;
}

/** The key under which a schema says its range in words, for the description. */
export const rangeMark = 'x-vratar-range';

/** A duration such as `250ms`, `15s`, `5m`, `12h` (or `0`), read as milliseconds. */
export function duration(range: DurationRange = {}): z.ZodType<number, string | number> {
  const { minMs = 0, maxMs = 30 * 24 * unitMs.h } = range;
  const expected = 'expected a duration such as 250ms, 15s, 5m or 12h';
  const allowed = `from ${largestUnit(minMs, unitMs)} to ${largestUnit(maxMs, unitMs)}`;
  return z
    .union([z.literal(0), z.string().regex(/^(\d{1,9})(ms|s|m|h)$/, expected)], expected)
    .transform((text) => {
      if (typeof text === 'number') return text;
      const at = text.search(/[a-z]/);
      return Number(text.slice(0, at)) * unitMs[text.slice(at) as keyof typeof unitMs];
    })
    .refine((ms) => ms >= minMs && ms <= maxMs, `expected a duration ${allowed}`)
    .meta({ [rangeMark]: allowed });
}

/** A size such as `64KiB`, read as bytes. */
export function size(range: { minBytes?: number; maxBytes?: number } = {}): z.ZodType<number, string> {
  const { minBytes = 1, maxBytes = 16 * unitBytes.GiB } = range;
  const expected = 'expected a size such as 64KiB or 10MiB';
  const allowed = `from ${largestUnit(minBytes, unitBytes)} to ${largestUnit(maxBytes, unitBytes)}`;
  return z
    .string(expected)
    .regex(/^(\d{1,9})(B|KiB|MiB|GiB)$/, expected)
    .transform((text) => {
      const at = text.search(/[A-Z]/i);
      return Number(text.slice(0, at)) * unitBytes[text.slice(at) as keyof typeof unitBytes];
    })
    .refine((bytes) => bytes >= minBytes && bytes <= maxBytes, `expected a size ${allowed}`)
    .meta({ [rangeMark]: allowed });
}

function largestUnit(amount: number, units: Readonly<Record<string, number>>): string {
  let best = String(amount);
  for (const [unit, factor] of Object.entries(units)) {
    if (amount % factor === 0 && amount >= factor) best = `${amount / factor}${unit}`;
  }
  return best;
}

/** An address or network in CIDR notation, kept as text. */
export const network: z.ZodType<string, string> = z
  .string()
  .superRefine((text, context) => {
    const fault = networkFault(text);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  })
  .meta({ examples: ['10.0.0.0/8', '2001:db8::/32'] });

/** The key under which a schema says how the loader treats its value: `secret`, `existingFile`, `liveFile` or `path`. */
export const loaderMark = 'x-vratar-loader';

export type SecretReference = string | { readonly file: string } | { readonly env: string };

/** Where a secret comes from. The loader replaces the reference by a `Secret` before the schema sees it. */
export const secret: z.ZodType<Secret, SecretReference> = z
  .union(
    [
      z.string().min(1).describe('the secret itself: better in a file or an environment variable'),
      z.strictObject({ file: z.string().min(1).describe('path of a file that holds the secret, one line') }),
      z.strictObject({ env: z.string().min(1).describe('name of an environment variable') }),
      z.instanceof(Secret),
    ],
    'expected { file: … }, { env: NAME } or a text',
  )
  .transform((value, context) => {
    if (value instanceof Secret) return value;
    if (typeof value === 'string') return new Secret(value);
    context.addIssue({ code: 'custom', message: 'the secret reference was not resolved' });
    return z.NEVER;
  })
  .meta({ [loaderMark]: 'secret' }) as z.ZodType<Secret, SecretReference>;

/** A file that must be there and readable. Relative paths are relative to the configuration file. */
export const existingFile: z.ZodType<string, string> = z
  .string()
  .min(1)
  .meta({ [loaderMark]: 'existingFile' });

/** The same, of a file whose user notices changes itself: nothing else is done when it changes. */
export const liveFile: z.ZodType<string, string> = z
  .string()
  .min(1)
  .meta({ [loaderMark]: 'liveFile' });

/** A path that need not exist yet. Relative paths are relative to the configuration file. */
export const path: z.ZodType<string, string> = z
  .string()
  .min(1)
  .meta({ [loaderMark]: 'path' });

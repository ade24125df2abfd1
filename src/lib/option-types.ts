/** Option value types shared by the configuration fragments: durations, sizes and secrets as operators write them. */
import { z } from 'zod';
import { Secret } from './secret.ts';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const unitBytes = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;

export interface DurationRange {
  readonly minMs?: number;
  readonly maxMs?: number;
}

/** A duration such as `250ms`, `15s`, `5m`, `12h` (or `0`), read as milliseconds. */
export function duration(range: DurationRange = {}): z.ZodType<number, string | number> {
  const { minMs = 0, maxMs = 30 * 24 * unitMs.h } = range;
  return z
    .union([
      z.literal(0),
      z.string().regex(/^(\d{1,9})(ms|s|m|h)$/, 'expected a duration such as 250ms, 15s, 5m or 12h'),
    ])
    .transform((text) => {
      if (typeof text === 'number') return text;
      const at = text.search(/[a-z]/);
      return Number(text.slice(0, at)) * unitMs[text.slice(at) as keyof typeof unitMs];
    })
    .refine((ms) => ms >= minMs && ms <= maxMs, `expected a duration between ${minMs} ms and ${maxMs} ms`);
}

/** A size such as `64KiB`, read as bytes. */
export function size(range: { minBytes?: number; maxBytes?: number } = {}): z.ZodType<number, string> {
  const { minBytes = 1, maxBytes = 16 * unitBytes.GiB } = range;
  return z
    .string()
    .regex(/^(\d{1,9})(B|KiB|MiB|GiB)$/, 'expected a size such as 64KiB or 10MiB')
    .transform((text) => {
      const at = text.search(/[A-Z]/i);
      return Number(text.slice(0, at)) * unitBytes[text.slice(at) as keyof typeof unitBytes];
    })
    .refine((bytes) => bytes >= minBytes && bytes <= maxBytes, `expected ${minBytes} to ${maxBytes} bytes`);
}

/** Where a secret comes from. The loader replaces the reference by a `Secret` before the schema sees it. */
export const secret: z.ZodType<Secret, string | { file: string } | { env: string }> = z
  .union([
    z.strictObject({ file: z.string().min(1).describe('path of a file that holds the secret, one line') }),
    z.strictObject({ env: z.string().min(1).describe('name of an environment variable') }),
    z.string().min(1),
    z.instanceof(Secret),
  ])
  .transform((value, context) => {
    if (value instanceof Secret) return value;
    if (typeof value === 'string') return new Secret(value);
    context.addIssue({ code: 'custom', message: 'the secret reference was not resolved' });
    return z.NEVER;
  }) as z.ZodType<Secret, string | { file: string } | { env: string }>;

/**
 * The configuration as plain data for another process of the same installation: secrets are packed and unpacked, so
 * that workers need neither the file nor the schema, and all of them run on the same configuration.
 */
import { Secret } from '../lib/secret.ts';
import type { Config } from './schema.ts';

/** Survives structured clone. Holds secrets in clear: never for a log, only for the channel to a worker. */
export interface PackedConfig {
  readonly packed: unknown;
}

/** Option names are checked against the schema, so no option can have this name. */
const secretMark = '\0secret';

export function packConfig(config: Config): PackedConfig {
  return {
    packed: map(config, (value) => (value instanceof Secret ? { [secretMark]: value.reveal() } : undefined)),
  };
}

export function unpackConfig({ packed }: PackedConfig): Config {
  return map(packed, (value) => {
    if (typeof value !== 'object' || value === null || !(secretMark in value)) return undefined;
    return new Secret(String(value[secretMark]));
  }) as Config;
}

/** A copy in which `replace` decides about every value it does not answer `undefined` for. */
function map(value: unknown, replace: (value: unknown) => unknown): unknown {
  const replaced = replace(value);
  if (replaced !== undefined) return replaced;
  if (Array.isArray(value)) return value.map((item) => map(item, replace));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, map(item, replace)]));
}

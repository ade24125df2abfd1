/** What of a configuration could be read, so that checks across sections run even when another section is broken. */
import { z } from 'zod';
import { type Config, configSchema, type Section } from './schema.ts';
import { elementOf } from './schema-walk.ts';

/** Sections that could not be read are `undefined`; so are the items of lists, which keep their index. */
export type Readable = {
  readonly [S in Section]: Config[S] extends readonly (infer Item)[]
    ? readonly (Item | undefined)[]
    : Config[S] | undefined;
} & {
  /** Names as written, also of entries that could not be read: a reference to one of them is not a second mistake. */
  readonly declared: { readonly directories: ReadonlySet<string>; readonly providers: ReadonlySet<string> };
};

/** Reads section by section, and lists item by item, what `configSchema` refused as a whole. */
export function readableParts(value: unknown): Readable {
  const sections = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const parts: Record<string, unknown> = {};
  for (const [section, schema] of Object.entries(configSchema.shape)) {
    const written = Object.hasOwn(sections, section) ? sections[section] : undefined;
    const read = schema.safeParse(written);
    const element = elementOf(schema);
    if (read.success) parts[section] = read.data;
    else if (element === undefined) parts[section] = undefined;
    else {
      const items: readonly unknown[] = Array.isArray(written) ? written : [];
      parts[section] = items.map((item) => z.safeParse(element, item).data);
    }
  }
  const declared = {
    directories: namesIn(sections['directories']),
    providers: namesIn(sections['providers']),
  };
  return { ...parts, declared } as Readable;
}

/** The same view of a configuration that could be read as a whole. */
export function asReadable(config: Config): Readable {
  const declared = { directories: namesIn(config.directories), providers: namesIn(config.providers) };
  return { ...config, declared };
}

function namesIn(list: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  for (const item of Array.isArray(list) ? (list as readonly unknown[]) : []) {
    if (typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string') {
      names.add(item.name);
    }
  }
  return names;
}

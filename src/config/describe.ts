/** The configuration as JSON Schema (draft-07), for editors: descriptions, defaults and patterns from the fragments. */
import { z } from 'zod';
import { loaderMark, rangeMark } from '../lib/option-types.ts';
import { configSchema } from './schema.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** The text of config/vratar.schema.json. The same for the same code, so that a test can compare. */
export function describeConfig(): string {
  const generated = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-07',
    // A `Secret` has no JSON: it is what the loader puts there, not what an operator writes.
    unrepresentable: 'any',
  });
  const described = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Vratar configuration',
    description: 'Generated from the code; config/examples holds starting points.',
    ...(tidy(generated as Json) as object),
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}

/** Turns the fragments' marks into words, and drops alternatives that JSON cannot express. */
function tidy(node: Json): Json {
  if (isList(node)) return node.map(tidy);
  if (typeof node !== 'object' || node === null) return node;
  const out: Record<string, Json> = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === loaderMark || key === rangeMark) continue;
    out[key] = tidy(key === 'anyOf' && isList(value) ? value.filter(saysSomething) : value);
  }
  const range = node[rangeMark];
  if (typeof range === 'string' && typeof out['description'] === 'string') {
    out['description'] = `${out['description']} (${range})`;
  }
  return out;
}

function isList(node: Json): node is readonly Json[] {
  return Array.isArray(node);
}

function saysSomething(option: Json): boolean {
  return typeof option !== 'object' || option === null || Object.keys(option).length > 0;
}

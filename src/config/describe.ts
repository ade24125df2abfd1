/** The configuration as JSON Schema (draft-07), for editors: descriptions, defaults and patterns from the fragments. */
import { z } from 'zod';
import { loaderMark, rangeMark } from '../lib/option-types.ts';
import { configSchema } from './schema.ts';

/** The text of config/vratar.schema.json. The same for the same code, so that a test can compare. */
export function describeConfig(): string {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-07',
    // A `Secret` that the loader put there is nothing an operator writes.
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      delete jsonSchema[loaderMark];
      const range = jsonSchema[rangeMark];
      delete jsonSchema[rangeMark];
      if (typeof range === 'string' && jsonSchema.description !== undefined) {
        jsonSchema.description = `${jsonSchema.description} (${range})`;
      }
      if (jsonSchema.anyOf !== undefined) {
        jsonSchema.anyOf = jsonSchema.anyOf.filter((option) => Object.keys(option).length > 0);
      }
    },
  });
  const described = {
    $schema: schema.$schema,
    title: 'Vratar configuration',
    description: 'Generated from the code; see config/examples for starting points.',
    ...schema,
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}

/** What the schema objects to, in an operator's words and with the operator's path. Knows zod's issues, not the options. */
import type { z } from 'zod';
import type { ConfigPath, Finding, PathStep } from './problem.ts';
import { knownKeysAt, type Schema } from './schema-walk.ts';
import { suggest } from './suggestion.ts';

type Issue = z.core.$ZodIssue;

export function schemaFindings(issues: readonly Issue[], schema: Schema): readonly Finding[] {
  const placed = issues.flatMap((issue) => flatten(issue, []));
  return placed
    .filter((one) => one.issue.code !== 'custom' || !placed.some((other) => explains(other, one)))
    .flatMap(({ issue, path }): readonly Finding[] => {
      if (issue.code !== 'unrecognized_keys') {
        return [{ path, message: issue.message, atKey: issue.code === 'invalid_key' }];
      }
      const known = knownKeysAt(schema, path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: unknownKeyMessage(key, known),
        atKey: true,
      }));
    });
}

/** A check over a mapping says nothing useful while one of its values is misspelt or of the wrong kind. */
function explains(other: PlacedIssue, check: PlacedIssue): boolean {
  return other.issue.code !== 'custom' && check.path.every((step, index) => step === other.path[index]);
}

interface PlacedIssue {
  readonly issue: Issue;
  readonly path: ConfigPath;
}

/** A union that failed speaks through the branch that was meant: the one the value has the type of. */
function flatten(issue: Issue, above: ConfigPath): readonly PlacedIssue[] {
  const path = [...above, ...(issue.path as PathStep[])];
  if (issue.code === 'invalid_key') {
    const [cause] = issue.issues;
    return [{ issue: cause === undefined ? issue : { ...issue, message: cause.message }, path }];
  }
  if (issue.code !== 'invalid_union') return [{ issue, path }];
  const meant = issue.errors.filter((branch) => branch.length > 0 && !branch.some(isOfAnotherType));
  const [branch] = meant;
  if (meant.length === 0) {
    const hint = issue.errors
      .flat()
      .map((inner) => (isMisspelling(inner) ? meantValue(inner.input, inner.values) : ''));
    return [{ issue: { ...issue, message: issue.message + hint.join('') }, path }];
  }
  if (meant.length !== 1 || branch === undefined) return [{ issue, path }];
  return branch.flatMap((inner) => flatten(inner, path));
}

function isOfAnotherType(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}

function isMisspelling(issue: Issue): issue is z.core.$ZodIssueInvalidValue {
  return issue.path.length === 0 && issue.code === 'invalid_value';
}

function unknownKeyMessage(key: string, known: readonly string[]): string {
  const meant = suggest(key, known);
  if (meant !== undefined) return `unknown key; did you mean "${meant}"?`;
  return known.length === 0 ? 'unknown key' : `unknown key; known here: ${known.join(', ')}`;
}

/** Texts for what the schema's own messages leave out. Never contains a value: it could be a secret in the wrong place. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      if (issue.input === null)
        return `is empty; remove the key or give it ${words[issue.expected] ?? 'a value'}`;
      return `expected ${words[issue.expected] ?? issue.expected}, found ${kindOf(issue.input)}${quoteHint(issue)}`;
    case 'invalid_value':
      if (issue.input === undefined) return 'is required';
      return `expected ${issue.values.map(String).join(', ')}${meantValue(issue.input, issue.values)}`;
    case 'invalid_union':
      if (issue.input === undefined) return 'is required';
      if ('discriminator' in issue && 'options' in issue) {
        return `expected ${(issue.options as readonly unknown[]).map(String).join(' or ')}`;
      }
      return undefined;
    case 'too_small':
      if (isCounted(issue.origin)) {
        return issue.minimum === 1
          ? 'must not be empty'
          : `needs at least ${issue.minimum} ${unitOf(issue.origin)}`;
      }
      return `expected at least ${issue.minimum}`;
    case 'too_big':
      if (isCounted(issue.origin)) {
        return `holds more than ${issue.maximum} ${unitOf(issue.origin)}`;
      }
      return `expected at most ${issue.maximum}`;
    case 'invalid_format':
      return issue.format === 'email' ? 'expected an e-mail address' : undefined;
    default:
      return undefined;
  }
};

const words: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
};

function isCounted(origin: string): origin is 'string' | 'array' {
  return origin === 'string' || origin === 'array';
}

function unitOf(origin: 'string' | 'array'): string {
  return origin === 'string' ? 'characters' : 'entries';
}

function kindOf(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'string') return 'a text';
  if (typeof input === 'number') return Number.isInteger(input) ? 'a number' : 'a fraction';
  return typeof input === 'boolean' ? 'true or false' : 'a mapping';
}

/** YAML reads 2024 and true as no text: the most frequent surprise with group names. */
function quoteHint(issue: { readonly expected: string; readonly input?: unknown }): string {
  const isScalar = typeof issue.input === 'number' || typeof issue.input === 'boolean';
  return issue.expected === 'string' && isScalar ? '; put it in quotes' : '';
}

function meantValue(input: unknown, values: readonly unknown[]): string {
  if (typeof input !== 'string' || values.length < 2) return '';
  const meant = suggest(
    input,
    values.filter((value) => typeof value === 'string'),
  );
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}

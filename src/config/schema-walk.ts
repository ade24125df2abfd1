/** Questions about the composed schema itself: which keys exist at a place, and which values the loader has to resolve. */
import type { z } from 'zod';
import { loaderMark } from '../lib/option-types.ts';
import type { ConfigPath } from './problem.ts';

export type Schema = z.core.$ZodType;
type Definition = z.core.$ZodTypes['_zod']['def'];

/** What the loader does with a value before the schema sees it. */
export type LoaderMark = 'secret' | 'existingFile' | 'liveFile' | 'path';

/** A place in the schema; `'*'` stands for every item of a list, `'{*}'` for every value of a mapping. */
export interface MarkedPlace {
  readonly mark: LoaderMark;
  readonly path: readonly string[];
}

/** Every place whose value the loader resolves. */
export function findMarkedPlaces(schema: Schema): readonly MarkedPlace[] {
  const places: MarkedPlace[] = [];
  const visit = (current: Schema, path: readonly string[]): void => {
    const mark = markOf(current);
    if (mark !== undefined) {
      places.push({ mark, path });
      return;
    }
    const inner = unwrap(current);
    if (inner !== undefined) return visit(inner, path);
    const definition = definitionOf(current);
    if (definition.type === 'object') {
      for (const [key, child] of Object.entries(definition.shape)) visit(child, [...path, key]);
    } else if (definition.type === 'array') {
      visit(definition.element, [...path, '*']);
    } else if (definition.type === 'record') {
      visit(definition.valueType, [...path, '{*}']);
    } else if (definition.type === 'union') {
      for (const option of definition.options) visit(option, path);
    }
  };
  visit(schema, []);
  return places;
}

/** The keys that the mapping at `path` may hold; empty where the schema has no fixed keys. */
export function knownKeysAt(schema: Schema, path: ConfigPath): readonly string[] {
  let places: readonly Schema[] = [schema];
  for (const step of path) places = places.flatMap((place) => stepInto(place, step));
  const keys = new Set<string>();
  for (const place of places) {
    for (const variant of variantsOf(place)) {
      const definition = definitionOf(variant);
      if (definition.type === 'object') for (const key of Object.keys(definition.shape)) keys.add(key);
    }
  }
  return [...keys];
}

/** The schema of a list's items; `undefined` when it is no list. */
export function elementOf(schema: Schema): Schema | undefined {
  const inner = unwrap(schema);
  if (inner !== undefined) return elementOf(inner);
  const definition = definitionOf(schema);
  return definition.type === 'array' ? definition.element : undefined;
}

function stepInto(schema: Schema, step: string | number): readonly Schema[] {
  return variantsOf(schema).flatMap((variant) => {
    const definition = definitionOf(variant);
    if (definition.type === 'array') return [definition.element];
    if (definition.type === 'record') return [definition.valueType];
    if (definition.type !== 'object') return [];
    const child = Object.hasOwn(definition.shape, step) ? definition.shape[step] : definition.catchall;
    return child === undefined ? [] : [child];
  });
}

/** The schema without its wrappers; every branch of a union. */
function variantsOf(schema: Schema): readonly Schema[] {
  const inner = unwrap(schema);
  if (inner !== undefined) return variantsOf(inner);
  const definition = definitionOf(schema);
  return definition.type === 'union' ? definition.options.flatMap(variantsOf) : [schema];
}

function unwrap(schema: Schema): Schema | undefined {
  const definition = definitionOf(schema);
  switch (definition.type) {
    case 'optional':
    case 'default':
    case 'prefault':
      return definition.innerType;
    case 'pipe':
      return definition.in;
    default:
      return undefined;
  }
}

function definitionOf(schema: Schema): Definition {
  return (schema as z.core.$ZodTypes)._zod.def;
}

function markOf(schema: Schema): LoaderMark | undefined {
  return (schema as z.ZodType).meta()?.[loaderMark] as LoaderMark | undefined;
}

/** Values found in a document by a pattern: `'*'` stands for every item of a list, `'{*}'` for every value of a mapping. */
import type { ConfigPath, PathStep } from './problem.ts';

export interface Place {
  readonly path: ConfigPath;
  readonly value: unknown;
  /** Writes another value in its stead. */
  readonly replace: (value: unknown) => void;
}

export function findPlaces(root: unknown, pattern: readonly string[]): readonly Place[] {
  const [step, ...rest] = pattern;
  if (step === undefined || typeof root !== 'object' || root === null) return [];
  const holder = root as Record<PathStep, unknown>;
  const keys = keysAt(root, step);
  return keys.flatMap((key): readonly Place[] => {
    if (rest.length === 0) {
      return [
        {
          path: [key],
          value: holder[key],
          replace: (value) => {
            holder[key] = value;
          },
        },
      ];
    }
    return findPlaces(holder[key], rest).map((place) => ({ ...place, path: [key, ...place.path] }));
  });
}

function keysAt(root: object, step: string): readonly PathStep[] {
  if (step === '*') return Array.isArray(root) ? root.map((_, index) => index) : [];
  if (step === '{*}') return Array.isArray(root) ? [] : Object.keys(root);
  return ownKey(root, step);
}

function ownKey(root: object, key: string): readonly string[] {
  return !Array.isArray(root) && Object.hasOwn(root, key) ? [key] : [];
}

/**
 * What the operator's contract names and this version does not have. Refused by name, so that nobody believes a
 * protection or a provider to be on that is not there.
 */
import { findPlaces } from './places.ts';
import type { Finding } from './problem.ts';

interface Row {
  /** `'*'` stands for every item of a list. */
  readonly path: readonly string[];
  /** The values that are not supported; omitted: the key itself is not. */
  readonly values?: (value: unknown) => boolean;
}

const oneOf =
  (...values: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'string' && values.includes(value);

const rows: readonly Row[] = [
  { path: ['state', 'driver'], values: oneOf('redis') },
  { path: ['state', 'redis'] },
  { path: ['providers', '*', 'type'], values: oneOf('oidc', 'token', 'cookie', 'rest') },
  {
    path: ['applications', '*', 'credentials', '*'],
    values: oneOf('bearer'),
  },
];

/** One finding for every use of a feature this version does not have. */
export function unsupportedFindings(value: unknown): readonly Finding[] {
  return rows.flatMap(({ path, values }) =>
    findPlaces(value, path).flatMap((match): readonly Finding[] => {
      if (values === undefined) {
        return [{ path: match.path, message: 'is not supported by this version', atKey: true }];
      }
      if (!values(match.value)) return [];
      const what = Array.isArray(match.value) ? 'a list' : JSON.stringify(match.value);
      return [{ path: match.path, message: `${what} is not supported by this version` }];
    }),
  );
}

/**
 * Resolves what the file only points at: secrets in files and environment variables, and paths relative to the file.
 * A secret that cannot be read is a problem, never an empty secret: a gateway that starts without one fails open.
 */
import { accessSync, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Secret } from '../lib/secret.ts';
import { findPlaces, type Place } from './places.ts';
import type { Finding } from './problem.ts';
import type { MarkedPlace } from './schema-walk.ts';

const maxSecretBytes = 65_536;

export interface ReferenceContext {
  /** Folder of the configuration file. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ReferenceFindings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Absolute paths of the files it read or that must be there. */
  readonly files: readonly string[];
}

/** Replaces references in `value` in place. What has the wrong shape is left for the schema to object to. */
export function resolveReferences(
  value: unknown,
  marked: readonly MarkedPlace[],
  context: ReferenceContext,
): ReferenceFindings {
  const problems: Finding[] = [];
  const warnings: Finding[] = [];
  const files: string[] = [];
  for (const { mark, path } of marked) {
    for (const place of findPlaces(value, path)) {
      if (mark === 'secret') resolveSecret(place, context, { problems, warnings, files });
      else if (typeof place.value === 'string' && place.value !== '') {
        const file = resolve(context.folder, place.value);
        place.replace(file);
        if (mark === 'existingFile') files.push(file);
        const fault = mark === 'path' ? undefined : fileFault(file);
        if (fault !== undefined) problems.push({ path: place.path, message: fault });
      }
    }
  }
  return { problems, warnings, files };
}

function resolveSecret(
  { path, value, replace }: Place,
  { folder, env }: ReferenceContext,
  { problems, warnings, files }: { problems: Finding[]; warnings: Finding[]; files: string[] },
): void {
  const refuse = (at: Finding['path'], message: string): void => {
    problems.push({ path: at, message });
    // The schema must not object a second time; a configuration with problems is never used.
    replace(new Secret(''));
  };
  if (typeof value === 'string' && value !== '') {
    if (value.startsWith('${')) return refuse(path, 'is no reference; write { env: NAME } or { file: … }');
    warnings.push({ path, message: 'is a literal secret; better { file: … } or { env: NAME }' });
    return replace(new Secret(value));
  }
  const reference = referenceOf(value);
  if (reference === undefined) return;
  const at = [...path, reference.kind];
  if (reference.kind === 'env') {
    const text = Object.hasOwn(env, reference.name) ? env[reference.name] : undefined;
    if (text === undefined) return refuse(at, `the environment variable ${reference.name} is not set`);
    if (text === '') return refuse(at, `the environment variable ${reference.name} is empty`);
    return replace(new Secret(text));
  }
  const file = resolve(folder, reference.name);
  files.push(file);
  const read = readSecretFile(file);
  if (read.fault !== undefined) return refuse(at, read.fault);
  if (read.isExposed) {
    warnings.push({ path: at, message: 'the file is readable for other accounts; make its mode 0600' });
  }
  replace(read.secret);
}

function referenceOf(value: unknown): { readonly kind: 'file' | 'env'; readonly name: string } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const [entry, ...further] = Object.entries(value);
  if (entry === undefined || further.length > 0) return undefined;
  const [kind, name] = entry as [string, unknown];
  if ((kind !== 'file' && kind !== 'env') || typeof name !== 'string' || name === '') return undefined;
  return { kind, name };
}

type SecretFile =
  | { readonly fault: string }
  | { readonly fault?: undefined; readonly secret: Secret; readonly isExposed: boolean };

function readSecretFile(file: string): SecretFile {
  // A pipe or device would block the process or never end.
  const fault = fileFault(file);
  if (fault !== undefined) return { fault };
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(maxSecretBytes + 1);
    const length = readSync(descriptor, bytes, 0, bytes.length, 0);
    if (length > maxSecretBytes) return { fault: `holds more than ${maxSecretBytes} bytes` };
    const text = decodeUtf8(bytes.subarray(0, length));
    if (text === undefined) return { fault: 'the file is not UTF-8 text' };
    const line = text.replace(/\r?\n$/, '');
    if (line === '') return { fault: 'the file is empty' };
    if (/[\r\n]/.test(line)) return { fault: 'the file holds more than one line' };
    return { secret: new Secret(line), isExposed: (fstatSync(descriptor).mode & 0o077) !== 0 };
  } finally {
    closeSync(descriptor);
  }
}

/** `undefined` for bytes that are no UTF-8 text. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Why a file cannot be read, or `undefined`. */
function fileFault(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) return `${file} is not a regular file`;
    accessSync(file, constants.R_OK);
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    if (code === 'ENOENT') return `${file} does not exist`;
    return `${file} cannot be read (${code})`;
  }
}

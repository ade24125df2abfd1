/**
 * The configuration file to a validated `Config`, or every problem in it at once, each with its line. Reads files and the
 * environment it is given; opens no connection.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { GatewayError } from '../errors.ts';
import { adviceFor } from './advice.ts';
import { checkApplications } from './checks/applications.ts';
import { checkDirectories } from './checks/directories.ts';
import { checkIdentityHeaders } from './checks/identity-headers.ts';
import { checkKerberos } from './checks/kerberos.ts';
import { checkListeners } from './checks/listeners.ts';
import { checkNames } from './checks/names.ts';
import { checkOutgoingTls } from './checks/outgoing-tls.ts';
import { checkZimbra } from './checks/zimbra.ts';
import { type ConfigDocument, readDocument } from './document.ts';
import {
  type ConfigPath,
  type Finding,
  formatPath,
  formatProblem,
  inFileOrder,
  type Problem,
} from './problem.ts';
import { asReadable, type Readable, readableParts } from './readable.ts';
import { decodeUtf8, type ReferenceContext, resolveReferences } from './references.ts';
import { type Config, configSchema } from './schema.ts';
import { describeIssue, schemaFindings } from './schema-findings.ts';
import { findMarkedPlaces } from './schema-walk.ts';
import { unsupportedFindings } from './unsupported.ts';

const maxFileBytes = 1_048_576;

export interface LoadedConfig {
  readonly config: Config;
  /** Doubts that do not stop the gateway, top to bottom. */
  readonly warnings: readonly Problem[];
  /** Absolute path of the file. */
  readonly path: string;
  /** The file and those it names: whoever changes one of them changes the configuration. */
  readonly files: readonly string[];
  /** Places a finding that needed more than the file, such as a server that does not answer. */
  readonly locate: (finding: Finding) => Problem;
}

export interface LoadOptions {
  /** Where `{ env: NAME }` looks. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Thrown as GatewayError CONFIG_INVALID: the message holds one `file:line:column path: message` per line. */
export class ConfigInvalidError extends GatewayError {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];

  constructor(file: string, problems: readonly Problem[], warnings: readonly Problem[]) {
    const lines = problems.map((problem) => formatProblem(file, problem));
    super('CONFIG_INVALID', lines.join('\n'), { fields: { problems: lines } });
    this.problems = problems;
    this.warnings = warnings;
  }
}

export function loadConfig(path: string, { env }: LoadOptions): LoadedConfig {
  const file = resolve(path);
  const whole = (message: string): ConfigInvalidError =>
    new ConfigInvalidError(path, [{ line: 1, column: 1, path: formatPath([]), message }], []);
  const read = readConfigFile(file);
  if (typeof read !== 'string') throw whole(read.fault);
  const result = readConfig(read, { folder: dirname(file), env });
  if (result.config === undefined) throw new ConfigInvalidError(path, result.problems, result.warnings);
  const { config, warnings, files, locate: place } = result;
  return { config, warnings, path: file, files: [file, ...files], locate: place };
}

export interface ReadConfig {
  /** `undefined` when there are problems. */
  readonly config: Config | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Absolute paths of the files the text names. */
  readonly files: readonly string[];
  readonly locate: (finding: Finding) => Problem;
}

/** The same for text that is already read. */
export function readConfig(text: string, context: ReferenceContext): ReadConfig {
  const document = readDocument(text);
  const place = (finding: Finding): Problem => locate(finding, document);
  if (document.value === undefined) {
    const problems = inFileOrder(document.problems);
    return { config: undefined, problems, warnings: [], files: [], locate: place };
  }
  const { value } = document;
  const unsupported = unsupportedFindings(value);
  const marked = findMarkedPlaces(configSchema);
  const references = resolveReferences(value, marked, context);
  const parsed = configSchema.safeParse(value, { error: describeIssue, reportInput: true });
  const readable = parsed.success ? asReadable(parsed.data) : readableParts(value);
  const isExplained = (path: ConfigPath): boolean =>
    unsupported.some((finding) => finding.path.every((step, index) => step === path[index]));
  const problems = inFileOrder([
    ...document.problems,
    ...[
      ...unsupported,
      ...references.problems,
      ...(parsed.success ? [] : schemaFindings(parsed.error.issues, configSchema)).filter(
        ({ path }) => !isExplained(path),
      ),
      ...crossChecks(readable),
    ].map(place),
  ]);
  const warnings = inFileOrder([...references.warnings, ...adviceFor(readable)].map(place));
  const { files } = references;
  if (!parsed.success || problems.length > 0) {
    return { config: undefined, problems, warnings, files, locate: place };
  }
  // Defaults are relative to the file as well.
  resolveReferences(
    parsed.data,
    marked.filter(({ mark }) => mark === 'path'),
    context,
  );
  return { config: parsed.data, problems, warnings, files, locate: place };
}

function crossChecks(readable: Readable): readonly Finding[] {
  return [
    ...checkListeners(readable),
    ...checkNames(readable),
    ...checkDirectories(readable),
    ...checkApplications(readable),
    ...checkIdentityHeaders(readable),
    ...checkKerberos(readable),
    ...checkZimbra(readable),
    ...checkOutgoingTls(readable),
  ];
}

function locate({ path, message, atKey }: Finding, document: ConfigDocument): Problem {
  const position = atKey === true ? document.keyPositionOf(path) : document.positionOf(path);
  return { ...position, path: formatPath(path), message };
}

function readConfigFile(file: string): string | { readonly fault: string } {
  let descriptor: number;
  try {
    // Without blocking: a pipe that nobody writes to would otherwise hang the start.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { fault: code === 'ENOENT' ? 'the file does not exist' : `the file cannot be read (${code})` };
  }
  try {
    if (!fstatSync(descriptor).isFile()) return { fault: 'is not a regular file' };
    const bytes = Buffer.alloc(maxFileBytes + 1);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, bytes, length, bytes.length - length, length);
      length += count;
      if (count === 0 || length === bytes.length) break;
    }
    if (length > maxFileBytes) return { fault: `is larger than ${maxFileBytes} bytes` };
    return decodeUtf8(bytes.subarray(0, length)) ?? { fault: 'is not UTF-8 text' };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Authorities to trust and the certificate to show, from files that may be replaced while the process runs. Knows
 * nothing of servers.
 */
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { GatewayError } from '../errors.ts';

export interface TlsFiles {
  /** Omitted: the authorities of the system. */
  readonly caFile?: string | undefined;
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export class TlsContext {
  readonly #files: TlsFiles;
  #context: SecureContext;
  #version: string;

  /** Throws GatewayError CONFIG_INVALID when a file cannot be used. */
  constructor(files: TlsFiles) {
    this.#files = files;
    this.#version = versionOf(files);
    this.#context = createContext(files);
  }

  /** For one connection: files that changed since the last one are read again. */
  get current(): SecureContext {
    const version = versionOf(this.#files);
    if (version === this.#version) return this.#context;
    try {
      this.#context = createContext(this.#files);
      this.#version = version;
    } catch (error) {
      // In the middle of a replacement certificate and key do not fit: the next connection looks again.
      if (!(error instanceof GatewayError)) throw error;
    }
    return this.#context;
  }
}

/** Changes whenever one of the files was written or replaced. */
function versionOf({ caFile, certificateFile, keyFile }: TlsFiles): string {
  return [caFile, certificateFile, keyFile]
    .map((file) => {
      const found = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
      return found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeMs}`;
    })
    .join('|');
}

function createContext({ caFile, certificateFile, keyFile }: TlsFiles): SecureContext {
  const ca =
    caFile === undefined
      ? [...getCACertificates('default'), ...getCACertificates('system')]
      : read(caFile, 'caFile');
  const own =
    certificateFile === undefined || keyFile === undefined
      ? undefined
      : { cert: read(certificateFile, 'certificateFile'), key: read(keyFile, 'keyFile') };
  try {
    // RFC 8996: TLS 1.0 and 1.1 are not to be used.
    return createSecureContext({ minVersion: 'TLSv1.2', ca, ...own });
  } catch (error) {
    throw own === undefined
      ? unusable('caFile', caFile ?? '', error)
      : unusable('certificateFile', `${certificateFile} with the key in ${keyFile}`, error);
  }
}

const contents = {
  caFile: 'the certificate authorities',
  certificateFile: 'the certificate',
  keyFile: 'the key',
} as const;

function read(file: string, option: keyof typeof contents): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw unusable(option, file, error);
  }
}

function unusable(option: keyof typeof contents, file: string, cause: unknown): GatewayError {
  return new GatewayError('CONFIG_INVALID', `cannot use ${contents[option]} in ${file}`, {
    cause,
    fields: { option, file },
  });
}

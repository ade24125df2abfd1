/** A certificate chain and its private key from PEM files: read, and checked to belong together. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface TlsIdentityFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface TlsIdentity {
  /** PEM, the server's own certificate first. */
  readonly certificate: Buffer;
  /** PEM. */
  readonly key: Buffer;
  /** End of the first certificate's life, milliseconds since the epoch. */
  readonly expiresAtMs: number;
  /** Whether browsers accept it for a host name (RFC 9525). */
  covers(host: string): boolean;
}

export type ReadTlsIdentity =
  | { readonly identity: TlsIdentity }
  | { readonly identity?: undefined; readonly file: keyof TlsIdentityFiles; readonly fault: string };

/** Says what is wrong, and of which file, in words for the operator. */
export function readTlsIdentity({ certificateFile, keyFile }: TlsIdentityFiles): ReadTlsIdentity {
  const certificate = readPem(certificateFile);
  if (typeof certificate === 'string') return { file: 'certificateFile', fault: certificate };
  const key = readPem(keyFile);
  if (typeof key === 'string') return { file: 'keyFile', fault: key };
  const leaf = parse(() => new X509Certificate(certificate));
  if (leaf === undefined) return { file: 'certificateFile', fault: 'holds no certificate in PEM form' };
  const privateKey = parse((): KeyObject => createPrivateKey(key));
  if (privateKey === undefined) {
    return { file: 'keyFile', fault: 'holds no private key in PEM form without a passphrase' };
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    return { file: 'keyFile', fault: 'is not the key of the certificate' };
  }
  return {
    identity: {
      certificate,
      key,
      expiresAtMs: leaf.validToDate.getTime(),
      covers: (host) => leaf.checkHost(host, { subject: 'never' }) !== undefined,
    },
  };
}

function readPem(file: string): Buffer | string {
  try {
    return readFileSync(file);
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** `undefined` for what OpenSSL does not take. */
function parse<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined;
  }
}

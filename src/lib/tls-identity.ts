/** Certificates and their private keys from PEM files: read, and checked to be what they should. */
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

/** What is wrong with a file of authorities to trust, in words for the operator; `undefined`: nothing. */
export function authoritiesFault(file: string): string | undefined {
  const pem = readPem(file);
  if (typeof pem === 'string') return pem;
  // OpenSSL passes over what it cannot read: then nobody would be trusted, and nobody would know why.
  const blocks = pem.toString('latin1').match(/^-----BEGIN [A-Z0-9 ]*CERTIFICATE-----$[^-]*/gm) ?? [];
  if (blocks.length === 0) return 'holds no certificate in PEM form';
  const broken = blocks.findIndex(
    (block) => parse(() => new X509Certificate(`${block}-----END CERTIFICATE-----\n`)) === undefined,
  );
  return broken < 0 ? undefined : `holds a certificate that cannot be read (number ${broken + 1})`;
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

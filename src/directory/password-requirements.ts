/** What has to be there before a directory of a kind can be asked for a new password. Facts for options and engine alike. */
import { parseServerUrl } from './endpoint.ts';
import type { DirectoryKindName } from './group-method.ts';

export interface PasswordRequirements {
  /** The server takes no password in clear text, not even on loopback; so it is not offered one. */
  readonly needsTls: boolean;
  /** Who has to change the password may not bind, so the service account has to bring the change. */
  readonly needsServiceAccount: boolean;
}

export const passwordRequirements: Readonly<Record<DirectoryKindName, PasswordRequirements>> = {
  activeDirectory: { needsTls: true, needsServiceAccount: true },
  freeIpa: { needsTls: true, needsServiceAccount: false },
  openLdap: { needsTls: false, needsServiceAccount: false },
};

/** In one sentence; `undefined`: nothing is missing. */
export function whyNoPasswordChange(options: {
  readonly kind: DirectoryKindName;
  readonly servers: readonly string[];
  readonly startTls: boolean;
  readonly bind?: unknown;
}): string | undefined {
  const { needsTls, needsServiceAccount } = passwordRequirements[options.kind];
  const isProtected = options.startTls || options.servers.every((url) => parseServerUrl(url).isSecure);
  if (needsTls && !isProtected) {
    return `${options.kind} changes passwords over TLS only; use ldaps:// or startTls: true`;
  }
  if (needsServiceAccount && options.bind === undefined) {
    return `${options.kind} needs a service account (bind) to change passwords`;
  }
  return undefined;
}

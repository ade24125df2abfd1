/** What has to be there before a directory of a kind can be asked for a new password. Facts for options and engine alike. */
import type { DirectoryKindName } from './group-method.ts';

export interface PasswordRequirements {
  /** The server takes no password in clear text, not even on loopback; so it is not offered one. */
  readonly needsTls: boolean;
  /** Who has to change the password may not bind, so the service account, by its password, has to bring the change. */
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
  readonly bind?: { readonly method?: string | undefined } | undefined;
}): string | undefined {
  const { needsTls, needsServiceAccount } = passwordRequirements[options.kind];
  if (needsTls && !options.startTls && options.servers.some((url) => url.startsWith('ldap:'))) {
    return `${options.kind} changes passwords over TLS only; use ldaps:// or startTls: true`;
  }
  if (needsServiceAccount && (options.bind === undefined || options.bind.method === 'external')) {
    return `${options.kind} needs a service account with a password (bind.dn) to change those of others`;
  }
  return undefined;
}

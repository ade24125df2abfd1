/** The part of a check that ends at the service bind: reaching the server, its certificate, our account there. */
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { RejectionReason } from '../identity/outcome.ts';
import type { Secret } from '../lib/secret.ts';
import type { BindAnswer, LdapConnection } from './connection.ts';
import type { Endpoint } from './endpoint.ts';
import { errorCode, type LdapFailure } from './failures.ts';
import type { DirectoryFinding, FindingCode, Report } from './finding.ts';
import type { PeopleSettings } from './kinds.ts';

const expiryWarningDays = 30;
const dayMs = 86_400_000;

/** The certificate with the shortest life of those that were sent: an authority that expires takes its servers along. */
export function checkExpiry(socket: TLSSocket, nowMs: number, report: Report): void {
  let first: PeerCertificate | undefined;
  const seen = new Set<string>();
  let next: (PeerCertificate & { issuerCertificate?: PeerCertificate }) | undefined =
    socket.getPeerCertificate(true);
  const own = next;
  while (next?.valid_to !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    if (first === undefined || Date.parse(next.valid_to) < Date.parse(first.valid_to)) first = next;
    next = next.issuerCertificate;
  }
  if (first === undefined) return;
  const daysLeft = Math.floor((Date.parse(first.valid_to) - nowMs) / dayMs);
  if (daysLeft >= expiryWarningDays) return;
  const whose =
    first === own
      ? "The server's certificate"
      : `The authority above the server's certificate, ${String(first.subject.CN)},`;
  report({
    code: 'certificate-expiring',
    level: 'warning',
    path: [],
    message: `${whose} expires in ${count(daysLeft, 'day')}; have it renewed.`,
  });
}

/** Why our own account is turned away; `undefined`: it is not. Throws LdapFailure when the answer is about the server. */
export async function refusalOfService(
  connection: LdapConnection,
  account: { readonly dn: string; readonly password: Secret } | undefined,
  settings: PeopleSettings,
): Promise<RejectionReason | undefined> {
  if (account === undefined) return undefined;
  const answer: BindAnswer = await connection.bind(account.dn, account.password);
  // Sign-ins left with an expired password are no hindrance yet.
  return settings.status.judgeBind({ ...answer, graceSignInsLeft: undefined });
}

/** What to do about it, for an account that nobody types a name for. */
const serviceRefusals: Readonly<Partial<Record<RejectionReason, string>>> = {
  'account-locked': 'is locked; unlock it, and correct bind.password if that was the cause',
  'account-disabled': 'is disabled; enable it',
  'account-expired': 'has expired; extend it',
  'password-expired':
    'has an expired password; give it one that does not expire, and write it to bind.password',
  'password-must-change':
    'must change its password; give it one that does not expire, and write it to bind.password',
};

export function serviceRefused(reason: RejectionReason, dn: string): Omit<DirectoryFinding, 'server'> {
  const what = serviceRefusals[reason];
  return {
    code: 'service-account-refused',
    level: 'problem',
    path: ['bind'],
    message:
      what === undefined
        ? `The service account ${dn} or its password is refused; correct bind.`
        : `The service account ${dn} ${what}.`,
  };
}

/** SASL EXTERNAL was answered, but not with success. */
export function certificateUnknown({ resultCode }: LdapFailure): Omit<DirectoryFinding, 'server'> {
  return {
    code: 'service-account-refused',
    level: 'problem',
    path: ['bind'],
    message:
      `The server takes tls.certificateFile for nobody it knows (LDAP result ${resultCode}); ` +
      'map its subject to the service account there.',
  };
}

interface Advice {
  readonly code: FindingCode;
  readonly path?: readonly string[];
  readonly message: string;
}

/** By error code; whatever is not listed is told as it is. */
const advice: Readonly<Record<string, Advice>> = {
  CERT_HAS_EXPIRED: {
    code: 'certificate-refused',
    message: "The server's certificate has expired; have it renewed.",
  },
  CERT_NOT_YET_VALID: {
    code: 'certificate-refused',
    message:
      "The server's certificate is not valid yet; set the clock of this machine, or of whoever issued it.",
  },
  ECONNREFUSED: {
    code: 'unreachable',
    message: 'Nothing listens there; check host and port, and that the server runs.',
  },
  ECONNRESET: {
    code: 'unreachable',
    message: 'The server closed the connection at once; ldap:// and ldaps:// use different ports.',
  },
  EHOSTUNREACH: { code: 'unreachable', message: 'There is no route to the host; check the network.' },
  ENETUNREACH: { code: 'unreachable', message: 'There is no route to the host; check the network.' },
  ENOTFOUND: { code: 'unreachable', message: 'The host name is unknown; correct it in servers.' },
  EAI_AGAIN: {
    code: 'unreachable',
    message: 'The host name could not be resolved; check the DNS of this machine.',
  },
};

/** confidentialityRequired (RFC 4511 section 4.1.9), and strongerAuthRequired, which is what Active Directory says. */
const encryptionRequired: ReadonlySet<number | undefined> = new Set([8, 13]);

/** What a failure of the server means for whoever configured it. */
export function explainFailure(failure: LdapFailure, endpoint: Endpoint): Omit<DirectoryFinding, 'server'> {
  const told = ({ code, path = [], message }: Advice): Omit<DirectoryFinding, 'server'> => ({
    code,
    level: 'problem',
    path,
    message,
  });
  const code = errorCode(failure.cause);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return told(wrongName(failure.cause as Error, endpoint));
  const known = code === undefined ? undefined : advice[code];
  if (known !== undefined) return told(known);
  if (failure.kind === 'config' && code !== undefined && failure.resultCode === undefined) {
    return told({
      code: 'certificate-refused',
      path: ['tls', 'caFile'],
      message: `The server's certificate is not trusted (${code}); set tls.caFile to the authority that issued it.`,
    });
  }
  if (encryptionRequired.has(failure.resultCode)) {
    const message = `The server demands encryption (LDAP result ${failure.resultCode}); use ldaps:// or startTls: true.`;
    return told({ code: 'encryption-required', message });
  }
  if (failure.kind === 'protocol') {
    const hint = endpoint.transport === 'plain' ? '; a TLS port needs ldaps://' : '; check host and port';
    return told({ code: 'unreachable', message: `The server does not speak LDAP there${hint}.` });
  }
  if (failure.resultCode === undefined) {
    const hint = endpoint.transport === 'plain' ? ', and whether the port is one for ldaps://' : '';
    const { message: what, stage } = failure;
    const message = `${what.charAt(0).toUpperCase()}${what.slice(1)}; check host, port and firewalls${hint}.`;
    return told({ code: stage === 'connect' ? 'unreachable' : 'not-answering', message });
  }
  const message = `The check could not be finished: ${failure.message}; look into the server's log.`;
  return told({ code: 'not-answering', message });
}

function wrongName(error: Error, { certificateName }: Endpoint): Advice {
  const names = (error as { cert?: PeerCertificate }).cert?.subjectaltname?.replaceAll(
    /\b(DNS|IP Address):/g,
    '',
  );
  return {
    code: 'certificate-refused',
    message:
      `The server's certificate is for another name (${names ?? 'none at all'}), not for ${certificateName}; ` +
      'use its name in servers, or set tls.serverName.',
  };
}

export function count(amount: number, one: string): string {
  return `${amount} ${amount === 1 ? one : `${one}s`}`;
}

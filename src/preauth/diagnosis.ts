/** Says in one sentence whether a mailbox can be opened, and if not, what an operator should look at. */
import { GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import { doubtfulOffsetMs, hopelessOffsetMs, type Probe, probeMailServer } from './mail-server-check.ts';
import type { ZimbraOptions } from './options.ts';
import type { AccountFault, MailAccount } from './signed-value.ts';
import { outgoingTo, type SignedIn, type Zimbra } from './zimbra.ts';

export interface Diagnosis {
  readonly works: boolean;
  readonly sentence: string;
}

/** Signs in once, as the account that is named, and ends that session. Never rejects for what the mail server does. */
export async function diagnose(
  zimbra: Zimbra,
  asked: { readonly account: string; readonly domain: string | undefined },
  clock: Clock,
): Promise<Diagnosis> {
  const { options } = zimbra;
  const mail = zimbra.readAccount(asked.account, asked.domain);
  if (typeof mail === 'string') return wrong(accountFaults[mail](asked.account, options));
  const probe = await zimbra.check.now();
  const fault = probeFault(probe, options.url, 'url');
  if (fault !== undefined) return wrong(fault);
  const offsetMs = probe.kind === 'up' ? (probe.offsetMs ?? 0) : 0;
  if (Math.abs(offsetMs) >= hopelessOffsetMs)
    return wrong(
      `clock: ${apart(options.url, offsetMs)}; Zimbra refuses whatever was signed more than 300 s ago or ahead, so set both clocks by NTP.`,
    );
  try {
    const signedIn = await zimbra.signIn(mail, clock.now() + 60_000);
    if (signedIn.kind === 'refused') return wrong(refusals[signedIn.reason](mail, options.url));
    await zimbra.endOwn(signedIn.token);
    const console = await adminFault(options, clock);
    if (console !== undefined) return wrong(`${mail.account} can be signed in, but ${console}`);
    return { works: true, sentence: success(mail, signedIn, options, offsetMs) };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return wrong(
      `port: ${options.url} answers as Zimbra's preauth service, but POST /service/soap/ does not work (${reasonOf(error)}); let this machine reach it, and look into mailbox.log.`,
    );
  }
}

/** What is wrong or doubtful about one address of a mail server; nothing is signed, no account is used. */
export async function judgeAddress(
  url: string,
  key: 'url' | 'adminUrl',
  options: Pick<ZimbraOptions, 'tls' | 'timeout'>,
  clock: Clock,
): Promise<{ readonly level: 'problem' | 'warning'; readonly sentence: string } | undefined> {
  await using outgoing = outgoingTo(url, options);
  const probe = await probeMailServer(outgoing, clock);
  const fault = probeFault(probe, url, key);
  if (fault !== undefined) return { level: 'problem', sentence: fault };
  const offsetMs = probe.kind === 'up' ? (probe.offsetMs ?? 0) : 0;
  if (Math.abs(offsetMs) <= doubtfulOffsetMs) return undefined;
  return { level: 'warning', sentence: `clock: ${apart(url, offsetMs)}; set both by NTP.` };
}

const accountFaults: Readonly<Record<AccountFault, (account: string, options: ZimbraOptions) => string>> = {
  'account-missing': () => 'account: it is empty.',
  'account-malformed': (account, { by }) =>
    `account: ${JSON.stringify(account)} is no identifier of the kind by: ${by}; nothing was sent.`,
  'account-not-ascii': (account) =>
    `account: ${JSON.stringify(account)} has letters beyond ASCII, which Zimbra may sign differently; use by: id.`,
  'domain-unknown': (account, { by, domains }) =>
    by === 'name'
      ? `domain: ${JSON.stringify(account)} is in none of the configured domains (${Object.keys(domains).join(', ')}); add its domain with its own key.`
      : `domain: ${by} does not say whose key signs; name one of ${Object.keys(domains).join(', ')} with --domain.`,
};

const refusals: Readonly<
  Record<Extract<SignedIn, { kind: 'refused' }>['reason'], (mail: MailAccount, url: string) => string>
> = {
  'mail-refused': ({ account, domain }, url) =>
    `key: ${url} refuses ${account}: the key of ${domain} is not Zimbra's (compare with zmprov gd ${domain} zimbraPreAuthKey), or no such account may sign in; Zimbra tells the two apart only in its mailbox.log.`,
  'account-inactive': ({ account }) =>
    `account: ${account} exists but is not active or in maintenance (zmprov ga ${account} zimbraAccountStatus).`,
  'mail-misconfigured': ({ domain }, url) =>
    `domain: ${url} does not take preauth for ${domain}: it has no key there (zmprov gdpak ${domain}), or the address is not the https one.`,
  'mail-fault': (_mail, url) => `${url} failed by itself; look into its mailbox.log.`,
  held: ({ account }) => `account: ${account} was refused a moment ago and is left alone for five minutes.`,
};

function success(
  { account }: MailAccount,
  signedIn: SignedIn,
  options: ZimbraOptions,
  offsetMs: number,
): string {
  const rotation =
    signedIn.kind === 'done' && signedIn.usesNextKey
      ? ' with nextPreauthKey, so preauthKey can be replaced by it'
      : '';
  const clocks =
    Math.abs(offsetMs) > doubtfulOffsetMs
      ? `, but ${apart(options.url, offsetMs)}`
      : `, the clocks differ by ${secondsOf(offsetMs)} s`;
  return `works: ${options.url} signs ${account} in${rotation}${clocks}.`;
}

async function adminFault(options: ZimbraOptions, clock: Clock): Promise<string | undefined> {
  if (options.adminUrl === undefined) return undefined;
  await using outgoing = outgoingTo(options.adminUrl, options);
  return probeFault(await probeMailServer(outgoing, clock), options.adminUrl, 'adminUrl');
}

function probeFault(probe: Probe, url: string, key: 'url' | 'adminUrl'): string | undefined {
  switch (probe.kind) {
    case 'up':
      return undefined;
    case 'other':
      return `port: ${url} answers ${probe.status} to GET /service/preauth, so ${key} is not the address of the mailbox service.`;
    case 'down': {
      const reason = reasonOf(probe.error);
      return /^(ERR_TLS|ERR_SSL|CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME|EPROTO)/.test(reason)
        ? `certificate: no trusted connection to ${url} (${reason}); check the host name in ${key}, or set tls.caFile to the authority that signed.`
        : `port: ${url} cannot be reached (${reason}); check host and port in ${key}, the firewall, and zmcontrol status.`;
    }
  }
}

/** The code of the socket, where there is one; never a text. */
function reasonOf({ code, fields }: GatewayError): string {
  const outgoing = fields['outgoingCode'];
  return typeof outgoing === 'string' && /^[A-Z][A-Z0-9_]+$/.test(outgoing) ? outgoing : code;
}

function apart(url: string, offsetMs: number): string {
  return `the clock of ${url} is ${secondsOf(offsetMs)} s ${offsetMs > 0 ? 'ahead of' : 'behind'} ours`;
}

function secondsOf(offsetMs: number): number {
  return Math.abs(Math.round(offsetMs / 1_000));
}

function wrong(sentence: string): Diagnosis {
  return { works: false, sentence };
}

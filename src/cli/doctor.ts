/**
 * `vratar doctor`: drives a front proxy from outside, as a stranger and as a signed-in person, and says which part of its
 * configuration does not protect the application. Changes nothing; asks nothing of the gateway that a browser could not.
 */
import { ConfigInvalidError, loadConfig } from '../config/load.ts';
import type { CommandIo } from './command-io.ts';
import { startEcho } from './doctor/echo.ts';
import type { Finding, Probe, ProbedSite } from './doctor/finding.ts';
import { type FrontProxyName, frontProxies, mendings } from './doctor/mending.ts';
import { ProbeClient } from './doctor/probe-client.ts';
import { assumedFacts, configuredFacts, type SiteFacts, type SiteHints } from './doctor/probed-site.ts';
import { questionProbes } from './doctor/question-probes.ts';
import { receivedProbes } from './doctor/received-probes.ts';
import { directProbe, refusalProbes } from './doctor/refusal-probes.ts';
import { signIn } from './doctor/sign-in.ts';
import { readLines, type TypedInput } from './typed-lines.ts';
import { exitInvalid, exitUsage, readArguments } from './usage-mistake.ts';

export type DoctorIo = CommandIo & TypedInput;

/** Something does not protect, or the front proxy was not reached. */
const exitFound = 1;

const usage = `usage: vratar doctor --through URL [options]

  --through URL      a page that needs a sign-in, as people open it through the front proxy
  --echo HOST:PORT   stand in for the application: listens there with the whoami page until the probes are done
  --user NAME        sign in as NAME through the proxy; the password is the first line of standard input
  --config FILE      take the rules, headers and cookies from this configuration instead of the defaults
  --public PATH      a page that needs no sign-in
  --path PATH        a further page that needs one; may be repeated
  --direct URL       the application's own address, which nobody outside should reach
  --connect HOST:PORT  where to find the front proxy when the name in the URL does not lead there yet
  --proxy NAME       ${frontProxies.join(', ')}; default: told by its Server header
`;

const options = {
  through: { type: 'string' },
  echo: { type: 'string' },
  user: { type: 'string' },
  config: { type: 'string' },
  public: { type: 'string' },
  path: { type: 'string', multiple: true },
  direct: { type: 'string' },
  connect: { type: 'string' },
  proxy: { type: 'string' },
} as const;

/** The order of the lines. The body comes last: an older gateway would mix up the answers that follow. */
const probes: readonly Probe[] = [
  ...refusalProbes,
  ...receivedProbes,
  ...questionProbes.filter(({ name }) => name !== 'body'),
  directProbe,
  ...questionProbes.filter(({ name }) => name === 'body'),
];

/** 0: every probe that could be tried is fine; 1: at least one is not; 64 and 78: the question is wrong. */
export async function doctor(argv: readonly string[], io: DoctorIo): Promise<number> {
  const values = readArguments('doctor', { args: [...argv], options }, io)?.values;
  if (values === undefined) return exitUsage;
  const wrong = (text: string): number => {
    io.stderr.write(`vratar doctor: ${text}\n`);
    return exitUsage;
  };
  const through = httpUrl(values.through);
  if (through === undefined) return wrong(`expected --through with an http or https URL\n${usage}`);
  const direct = httpUrl(values.direct);
  if (values.direct !== undefined && direct === undefined) return wrong('--direct is no http or https URL');
  const echoAddress = values.echo === undefined ? undefined : hostAndPort(values.echo);
  if (echoAddress === null) return wrong('--echo expects HOST:PORT');
  if (values.connect !== undefined && hostAndPort(values.connect) === null)
    return wrong('--connect expects HOST:PORT');
  const named = frontProxies.find((name) => name === values.proxy);
  if (values.proxy !== undefined && named === undefined)
    return wrong(`--proxy expects one of ${frontProxies.join(', ')}`);

  const hints = { through, publicPath: values.public, paths: values.path ?? [] };
  const facts = readFacts(values.config ?? io.env['VRATAR_CONFIG'], hints, io);
  if (facts === undefined) return exitInvalid;

  const client = new ProbeClient(through, values.connect);
  const resources = new AsyncDisposableStack();
  try {
    if (echoAddress !== undefined) resources.use(await startEcho(echoAddress));
    const first = await client.ask(`${facts.portalPath}/login`);
    const proxy = named ?? proxyNamed(first.values('server').join());
    const person =
      values.user === undefined
        ? 'nobody is signed in (--user NAME)'
        : await signIn(client, facts.portalPath, values.user, (await readLines(io, ['Password: ']))[0] ?? '');
    const site: ProbedSite = {
      ...facts,
      client,
      person: typeof person === 'string' ? undefined : person,
      whyNobody: typeof person === 'string' ? person : '',
      direct: direct === undefined ? undefined : new ProbeClient(direct),
    };
    return await examine(site, proxy, io);
  } catch (error) {
    if (!isConnectionProblem(error)) throw error;
    io.stderr.write(`vratar doctor: ${error.message}\n`);
    return exitFound;
  } finally {
    await resources.disposeAsync();
  }
}

async function examine(site: ProbedSite, proxy: FrontProxyName | undefined, io: DoctorIo): Promise<number> {
  const failures: { readonly probe: Probe; readonly headers: readonly string[] }[] = [];
  for (const probe of probes) {
    const finding = await attempt(probe, site);
    if (finding.outcome === 'ok')
      io.stdout.write(`ok         ${probe.title}${finding.note === undefined ? '' : `, ${finding.note}`}\n`);
    else if (finding.outcome === 'not-tried') io.stdout.write(`not tried  ${probe.title} (${finding.why})\n`);
    else {
      io.stdout.write(`FAIL       ${probe.title}\n`);
      for (const detail of finding.details) io.stdout.write(`           ${detail}\n`);
      failures.push({ probe, headers: finding.headers ?? [] });
    }
  }
  if (failures.length === 0) return 0;
  const folder = proxy === undefined ? 'deploy/ (name the proxy with --proxy)' : `deploy/${proxy}/`;
  io.stdout.write(`\nWhat mends it, with the lines of ${folder}:\n`);
  for (const { probe, headers } of failures) {
    const { advice, lines } = mendings[probe.name];
    io.stdout.write(`\n# ${probe.title}: ${advice}\n`);
    for (const line of concerning(headers, proxy === undefined ? [] : (lines[proxy] ?? [])))
      io.stdout.write(`${line}\n`);
  }
  return exitFound;
}

/** Where the finding names headers, only the lines about those, if there are any. nginx writes them with "_" in variables. */
function concerning(headers: readonly string[], lines: readonly string[]): readonly string[] {
  const named = lines.filter((line) =>
    headers.some((header) =>
      new RegExp(`(?<![a-z0-9-])${header.replaceAll('-', '[-_]')}(?![\\w-])`, 'i').test(line),
    ),
  );
  return named.length === 0 ? lines : named;
}

async function attempt(probe: Probe, site: ProbedSite): Promise<Finding> {
  try {
    return await probe.run(site);
  } catch (error) {
    // No answer to a request that a browser may send is a finding, not the end of the examination.
    if (!isConnectionProblem(error)) throw error;
    return { outcome: 'failed', details: [`no answer: ${error.message}`] };
  }
}

/** Refused, reset, timed out, unknown name, bad certificate, no HTTP: not a defect of this program. */
function isConnectionProblem(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return true;
  return 'code' in error && typeof error.code === 'string' && !/^ERR_(?!TLS_)/.test(error.code);
}

function readFacts(file: string | undefined, hints: SiteHints, io: DoctorIo): SiteFacts | undefined {
  if (file === undefined || file === '') return assumedFacts(hints);
  try {
    const facts = configuredFacts(loadConfig(file, { env: io.env }).config, hints);
    if (typeof facts !== 'string') return facts;
    io.stderr.write(`vratar doctor: ${facts}\n`);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    io.stderr.write(`${error.message}\n`);
  }
  return undefined;
}

function httpUrl(text: string | undefined): URL | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
}

/** `null`: not understood. */
function hostAndPort(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65_535) return null;
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port: Number(match[2]) };
}

/** HAProxy and Traefik do not say who they are. */
function proxyNamed(server: string): FrontProxyName | undefined {
  return frontProxies.find((name) => server.toLowerCase().includes(name));
}

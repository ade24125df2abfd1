/** Sends the rows that are one exchange with the gateway (kinds `http` and `raw`) and records all that can be seen of it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ServerOperation, Slapd } from '#test/servers/slapd.ts';
import { service } from '#test/servers/slapd-data.ts';
import { until } from '#test/support/until.ts';
import type { AttackRow } from './attack-rows.ts';
import { expandRepeats } from './attack-rows.ts';
import type { EchoUpstream, UpstreamRequest } from './echo-upstream.ts';
import { passwordOf } from './people.ts';
import { csrfCookieName, type Rig, type Site, sessionCookieName } from './rig.ts';
import { toLoopback } from './site.ts';
import { type Conversation, converse, type WireAnswer } from './wire-client.ts';

/** Everything a row may expect something of. */
export interface Observation {
  readonly site: Site;
  readonly upstream: EchoUpstream;
  readonly conversation: Conversation;
  readonly answer: WireAnswer | undefined;
  readonly upstreamStarted: number;
  readonly upstreamCompleted: readonly UpstreamRequest[];
  /** Log lines written meanwhile. */
  readonly log: string;
  /** Ticket that went along. */
  readonly ticket: string | undefined;
  /** Address the request came from. */
  readonly peer: string;
  readonly cpuMs: number;
  readonly rssGrowthMb: number;
  readonly tookMs: number;
  readonly directory: DirectoryView;
  /** 99th percentile while the answer was awaited. */
  readonly eventLoopDelayMs: number;
}

/** What reached the directory. */
export interface DirectoryView {
  readonly personBinds: number;
  /** Empty for scripted servers. */
  readonly operations: readonly ServerOperation[];
  readonly counters: Readonly<Record<string, () => unknown>>;
}

/** `own`: a site of this row alone. */
export async function runHttpRow(row: AttackRow, rig: Rig, own?: Site): Promise<Observation> {
  const site = own ?? (await rig.siteOf(row));
  const { input } = row;
  const ticket = await ticketFor(row, site);
  const bytes = await httpBytes(row, site, ticket);
  const wanted = { methods: [input.method ?? 'GET'], ticket, peer: input.peer };
  // The first request of a kind pays for compiling; what a row limits is the cost of the attack.
  if (row.expect['cpu_ms_max'] !== undefined) {
    for (let i = 0; i < 3; i++) await observe(rig, site, bytes, row, wanted);
  }
  let seen = await observe(rig, site, bytes, row, wanted);
  // A collection of garbage may fall into one measurement, not into each.
  for (let i = 0; i < 4 && seen.cpuMs > Number(row.expect['cpu_ms_max']); i++) {
    seen = await observe(rig, site, bytes, row, wanted);
  }
  return seen;
}

/** A row that may end its session gets one of its own. */
async function ticketFor({ input }: AttackRow, site: Site): Promise<string | undefined> {
  if (input.session === undefined) return undefined;
  const endsIt = input.method === 'POST' && input.target?.startsWith('{logout}') === true;
  return endsIt
    ? await site.signIn(input.session, passwordOf(input.session))
    : await site.ticketOf(input.session);
}

export async function runRawRow(row: AttackRow, rig: Rig): Promise<Observation> {
  const site = await rig.siteOf(row);
  const bytes = Buffer.from(expandRepeats(row.input.bytes ?? ''), 'latin1');
  const methods = [/^\s*([A-Za-z]+) /.exec(row.input.bytes ?? '')?.[1] ?? 'GET'];
  return await observe(rig, site, bytes, row, { methods });
}

async function httpBytes({ input }: AttackRow, site: Site, ticket: string | undefined): Promise<Buffer> {
  const { method = 'GET', host = '', target = '/' } = input;
  const cookies: string[] = [];
  if (ticket !== undefined) cookies.push(`${cookieName(site)}=${ticket}`);
  if (/\$csrf|\$loginform/.test(input.body ?? ''))
    cookies.push(`${csrfCookieName}=${(await site.form()).cookie}`);
  const lines: string[] = [];
  let hasType = false;
  for (const [name, value] of input.headers ?? []) {
    const filled = await site.fill(value);
    if (name === 'Cookie') cookies.unshift(filled);
    else lines.push(`${name}: ${filled}`);
    hasType ||= name.toLowerCase() === 'content-type';
  }
  if (cookies.length > 0) lines.push(`Cookie: ${cookies.join('; ')}`);
  const body = input.body === undefined ? undefined : Buffer.from(await site.fill(input.body));
  if (body !== undefined) {
    lines.push(`Content-Length: ${body.length}`);
    if (!hasType) lines.push('Content-Type: application/x-www-form-urlencoded');
  }
  const head = [`${method} ${await site.fill(target)} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join(
    '\r\n',
  );
  return Buffer.concat([Buffer.from(head), body ?? Buffer.alloc(0)]);
}

export function cookieName(site: Site): string {
  return site.setup['publicUrl'] === 'http' ? 'gw' : sessionCookieName;
}

interface Wanted {
  readonly methods: readonly string[];
  readonly ticket?: string | undefined;
  readonly peer?: string | undefined;
}

async function observe(
  rig: Rig,
  site: Site,
  bytes: Buffer,
  { expect }: AttackRow,
  { methods, ticket, peer = '127.0.0.1' }: Wanted,
): Promise<Observation> {
  const { upstream, slapd } = await rig.servers();
  upstream.reset();
  if (asksDirectory(expect)) await slapd.clearOperations();
  const localAddress = toLoopback(peer.replace(/^::ffff:/, ''));
  const logBefore = site.gateway.logText.length;
  const rssBefore = process.memoryUsage.rss();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const conversation = await converse({
    port: site.gateway.port,
    bytes,
    methods,
    localAddress,
    answers: Array.isArray(expect['statuses']) ? expect['statuses'].length : 1,
    untilClosed: expect['connection'] === 'close',
  });
  const tookMs = performance.now() - startedAt;
  const cpu = process.cpuUsage(cpuBefore);
  // What the upstream got is counted when its turn of the loop comes.
  await nextTurn();
  if (expect['upstream_completed'] !== undefined) {
    await until(() => upstream.openAfterCut === 0, { what: 'the end of the cut connection to the upstream' });
  }
  return {
    site,
    upstream,
    conversation,
    answer: conversation.answers[0],
    upstreamStarted: upstream.started,
    upstreamCompleted: upstream.completed,
    log: site.gateway.logText.slice(logBefore),
    ticket,
    peer: localAddress,
    cpuMs: (cpu.user + cpu.system) / 1_000,
    rssGrowthMb: (process.memoryUsage.rss() - rssBefore) / 1_048_576,
    tookMs,
    directory: await directoryView(site, slapd),
    eventLoopDelayMs: 0,
  };
}

export function asksDirectory(expect: AttackRow['expect']): boolean {
  return Object.keys(expect).some((key) => /^(directory|filter|next_search)_/.test(key));
}

export async function directoryView(site: Site, slapd: Slapd): Promise<DirectoryView> {
  if (site.faulty !== undefined) {
    const { personBinds, counters = {} } = site.faulty;
    return { personBinds: await personBinds(), operations: [], counters };
  }
  const operations = await slapd.operations();
  const binds = operations.filter(({ kind, dn }) => kind === 'bind' && dn !== service.dn);
  return { personBinds: binds.length, operations, counters: {} };
}

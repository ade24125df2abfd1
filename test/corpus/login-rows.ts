/** Sends the rows that are a sign-in through the form (kinds `login`, `redirect` and their lists). */
import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { AttackRow, RowInput } from './attack-rows.ts';
import { corpusLines, corpusText } from './attack-rows.ts';
import { asksDirectory, cookieName, directoryView, type Observation } from './exchange-rows.ts';
import { csrfCookieName, type Rig, type Site } from './rig.ts';
import { hosts } from './site.ts';
import { type Conversation, converse, headerValues } from './wire-client.ts';

/** Names of the providers as the rows call them, and as the form sends them. */
const providers: Readonly<Record<string, string>> = { ldap: 'corp', local: 'local' };

export interface TypedForm {
  readonly username: string;
  readonly password: string;
  readonly provider?: string;
  readonly rd?: string;
}

export interface FormOptions {
  readonly localAddress?: string;
  readonly headers?: readonly string[];
}

/** Posts the sign-in form, as a browser that has just been given it. */
export async function postLogin(
  site: Site,
  typed: TypedForm,
  options: FormOptions = {},
): Promise<Conversation> {
  const { field, cookie } = await site.form();
  const body = new URLSearchParams({ ...typed, csrf: field }).toString();
  const head = [
    'POST /_vratar/login HTTP/1.1',
    `Host: ${hosts.portal}`,
    'Accept: text/html',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Cookie: ${csrfCookieName}=${cookie}`,
    ...(options.headers ?? []),
  ].join('\r\n');
  const { localAddress } = options;
  return await converse({
    port: site.gateway.port,
    bytes: Buffer.from(`${head}\r\n\r\n${body}`),
    ...(localAddress === undefined ? {} : { localAddress }),
  });
}

export function ticketIn(conversation: Conversation, site: Site): string | undefined {
  const [answer] = conversation.answers;
  if (answer === undefined) return undefined;
  const name = cookieName(site);
  const line = headerValues(answer, 'set-cookie').find((value) => value.startsWith(`${name}=`));
  return line?.slice(name.length + 1).split(';', 1)[0];
}

export async function runLoginRow(row: AttackRow, rig: Rig): Promise<Observation> {
  const site = await rig.siteOf(row);
  const { upstream, slapd } = await rig.servers();
  const { username = '', password = '', provider } = row.input;
  // The form is fetched before anything is measured.
  await site.form();
  upstream.reset();
  if (asksDirectory(row.expect)) await slapd.clearOperations();
  const logBefore = site.gateway.logText.length;
  const rssBefore = process.memoryUsage.rss();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const startedAt = performance.now();
  const conversation = await postLogin(site, {
    username,
    password,
    ...(provider === undefined ? {} : { provider: providers[provider] ?? provider }),
  });
  const tookMs = performance.now() - startedAt;
  delay.disable();
  const rssGrowthMb = (process.memoryUsage.rss() - rssBefore) / 1_048_576;
  const ticket = ticketIn(conversation, site);
  const log = site.gateway.logText.slice(logBefore);
  const directory = await directoryView(site, slapd);
  if (ticket !== undefined) await getAs(site, ticket, '/any/x');
  return {
    site,
    upstream,
    conversation,
    answer: conversation.answers[0],
    upstreamStarted: upstream.started,
    upstreamCompleted: upstream.completed,
    log,
    ticket,
    peer: '127.0.0.1',
    cpuMs: 0,
    rssGrowthMb,
    tookMs,
    directory,
    eventLoopDelayMs: delay.percentile(99) / 1e6,
  };
}

/** A request for the application with a session. */
export async function getAs(
  site: Site,
  ticket: string | undefined,
  target: string,
  host: string = hosts.app,
): Promise<Conversation> {
  const cookie = ticket === undefined ? '' : `Cookie: ${cookieName(site)}=${ticket}\r\n`;
  return await converse({
    port: site.gateway.port,
    bytes: Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${cookie}\r\n`),
  });
}

/** Signs in with a hostile return target. */
export async function runRedirectRow(row: AttackRow, rig: Rig): Promise<Observation> {
  const site = await rig.siteOf(row);
  const { upstream, slapd } = await rig.servers();
  const conversation = await signInTo(site, row.input.value ?? '');
  return {
    site,
    upstream,
    conversation,
    answer: conversation.answers[0],
    upstreamStarted: 0,
    upstreamCompleted: [],
    log: '',
    ticket: ticketIn(conversation, site),
    peer: '127.0.0.1',
    cpuMs: 0,
    rssGrowthMb: 0,
    tookMs: 0,
    directory: await directoryView(site, slapd),
    eventLoopDelayMs: 0,
  };
}

async function signInTo(site: Site, rd: string): Promise<Conversation> {
  return await postLogin(site, { username: 'alice', password: 'right', provider: 'corp', rd });
}

/** No line of the lists leads anywhere but to the gateway itself, as a browser reads Location. */
export async function runRedirectList({ input, expect }: AttackRow, rig: Rig): Promise<void> {
  const site = await rig.site();
  const own = `https://${hosts.portal}`;
  const lines = (input.files ?? []).flatMap((file) => corpusLines(file));
  assert.ok(lines.length >= 883);
  await inParallel(lines, async (line) => {
    const [answer] = (await signInTo(site, line)).answers;
    assert.equal(answer?.status, expect['status'], line);
    assert.ok(answer !== undefined);
    const [location = ''] = headerValues(answer, 'location');
    assert.equal(new URL(location, own).origin, own, line);
  });
}

/** No line of the list puts a header into an answer, as a path, a query or a return target. */
export async function runInjectionList(rig: Rig): Promise<void> {
  const site = await rig.site();
  const lines = corpusLines('crlf/payloads.txt');
  assert.ok(lines.length > 10);
  for (const line of lines) {
    const conversations = [
      await getAs(site, undefined, `/public/${line.replace(/^\//, '')}`),
      await getAs(site, undefined, `/public/x?${line}`),
      await getAs(site, undefined, `/_vratar/login?rd=${line}`, hosts.portal),
      await signInTo(site, line),
    ];
    for (const { answers } of conversations) {
      assert.equal(answers.length, 1, line);
      const injected = (answers[0]?.headers ?? []).filter((part) => /crlf|injection|evil/i.test(part));
      assert.deepEqual(injected, [], line);
    }
  }
}

/** A whole list typed as user names, or each string as both; nobody gets in and nothing breaks. */
export async function runLoginList({ input, expect }: AttackRow, rig: Rig): Promise<void> {
  const site = await rig.site();
  const logBefore = site.gateway.logText.length;
  const attempts = listOf(input);
  assert.notEqual(attempts.length, 0);
  await inParallel(
    attempts,
    async (typed) => {
      const [answer] = (await postLogin(site, { ...typed, provider: 'corp' })).answers;
      assert.equal(answer?.status, expect['status'], JSON.stringify(typed));
    },
    200,
  );
  const lines = site.gateway.logText.slice(logBefore).trimEnd().split('\n');
  for (const line of lines) {
    const { level } = JSON.parse(line) as { level: string };
    assert.notEqual(level, 'error', line);
  }
  const alive = await getAs(site, undefined, '/public/');
  assert.equal(alive.answers[0]?.status, 200);
}

function listOf({ file = '', password = '' }: RowInput): readonly TypedForm[] {
  if (!file.endsWith('.json')) return corpusLines(file).map((username) => ({ username, password }));
  // An empty string is a row of its own.
  const strings = (JSON.parse(corpusText(file)) as string[]).filter((text) => text !== '');
  return strings.flatMap((text) => [
    { username: text, password: 'right' },
    { username: 'alice', password: text },
  ]);
}

/** Refusals take half a second each: many at a time. */
export async function inParallel<Item>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<void>,
  atATime = 64,
): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: Math.min(atATime, items.length) }, async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index] as Item, index);
    }
  });
  await Promise.all(workers);
}

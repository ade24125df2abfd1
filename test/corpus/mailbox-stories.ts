/** Rows about links into mailboxes and about what is said to a mail server (classes `preauth` and `xml-soap-rest`). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSecretKey } from 'node:crypto';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayError } from '#src/errors.ts';
import { Outgoing } from '#src/lib/outgoing.ts';
import { parseXml } from '#src/lib/xml-document.ts';
import { preauthMac } from '#src/preauth/mint.ts';
import { authenticate } from '#src/preauth/soap.ts';
import { key, startMail, wayInto } from '#test/preauth/site.ts';
import { startGateway } from '#test/servers/gateway.ts';
import { ask } from '#test/support/http-client.ts';
import { principalOf } from '#test/support/principals.ts';
import { until } from '#test/support/until.ts';
import type { AttackRow } from './attack-rows.ts';
import { runHttpRow } from './exchange-rows.ts';
import { expectAll } from './expectations.ts';
import { getAs } from './login-rows.ts';
import { directoryOptions } from './people.ts';
import { type Rig, Site } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts, setupOf, siteConfig } from './site.ts';
import { headerValues, type WireAnswer } from './wire-client.ts';

const target = '/_vratar/zimbra/mail';

function linkIn(answer: WireAnswer | undefined): URL {
  assert.equal(answer?.status, 302, answer?.body);
  return new URL(headerValues(answer, 'location')[0] ?? '');
}

function knownVector({ input, expect }: AttackRow): void {
  const {
    account,
    by,
    expires,
    timestamp,
    key: digits,
  } = input as unknown as {
    readonly account: string;
    readonly by: 'name';
    readonly expires: number;
    readonly timestamp: number;
    readonly key: string;
  };
  const values = { account, by, expires, timestamp, isAdmin: false };
  assert.equal(preauthMac(values, createSecretKey(Buffer.from(digits))), expect['preauth']);
}

/** All at once, so that many fall into one millisecond. */
async function manyAtOnce(row: AttackRow, rig: Rig): Promise<void> {
  const site = await rig.siteOf(row);
  const ticket = await site.ticketOf('alice');
  const { n = 0 } = row.input as unknown as { readonly n?: number };
  const links = await Promise.all(
    Array.from({ length: n }, async () =>
      linkIn((await getAs(site, ticket, target, hosts.portal)).answers[0]),
    ),
  );
  const timestamps = new Set(links.map(({ searchParams }) => searchParams.get('timestamp')));
  assert.equal(timestamps.size, row.expect['distinct_timestamps']);
}

/** The row's secrets are those of the site and of the link itself. */
async function neverLogged(row: AttackRow, rig: Rig): Promise<void> {
  const seen = await runHttpRow(row, rig);
  const minted = linkIn(seen.answer).searchParams.get('preauth') ?? '';
  assert.match(minted, /^[0-9a-f]{40}$/);
  const secrets: Readonly<Record<string, string>> = { $preauthKey: key, $mintedPreauth: minted };
  const lacks = (row.expect['log_lacks'] as readonly string[]).map((name) => secrets[name]);
  assert.ok(lacks.every((secret) => secret !== undefined));
  await expectAll({ ...row.expect, log_lacks: lacks }, seen);
}

/** Its clock is six minutes ahead: the link works all the same, and everybody can see why it might not have. */
async function clockAhead(row: AttackRow, rig: Rig): Promise<void> {
  const { slapd, upstream } = await rig.servers();
  await using mail = await startMail();
  const config = await siteConfig(
    { upstream: upstream.url, directories: [slapd.url], mail: mail.url },
    setupOf(row),
  );
  await using gateway = await startGateway({
    config: { ...config, directories: [directoryOptions([slapd.url])] },
    clock: { now: () => Date.now() + 360_000 },
  });
  const metric = `vratar_zimbra_${String((row.expect['metric_nonzero'] as readonly string[])[0])}`;
  await until(async () => new RegExp(`^${metric}\\{[^}]*\\} 3[56]\\d$`, 'm').test(await gateway.metrics()), {
    what: `a difference in ${metric}`,
    timeoutMs: 20_000,
  });
  const site = new Site(gateway);
  const { answers } = await getAs(site, await site.ticketOf('alice'), target, hosts.portal);
  const { port, pathname, search } = linkIn(answers[0]);
  assert.equal((await ask({ port: Number(port), path: `${pathname}${search}` })).status, 302);
}

/** What the peer received, as another parser reads it. */
function readEnvelope(body: string): {
  readonly texts: readonly string[];
  readonly names: readonly string[];
} {
  const program =
    'import sys,json,xml.etree.ElementTree as E\n' +
    'r=list(E.fromstring(sys.stdin.buffer.read()).iter())\n' +
    'n=lambda e: e.tag.split("}")[-1]\n' +
    'print(json.dumps({"texts":[e.text for e in r if n(e)=="account"],"names":[n(e) for e in r]}))';
  return JSON.parse(
    execFileSync('python3', ['-c', program], { input: body, encoding: 'utf8' }),
  ) as ReturnType<typeof readEnvelope>;
}

/** The one free text that goes to a mail server is the account. */
async function writtenToSoap({ input, expect }: AttackRow): Promise<void> {
  const { attrs } = input as unknown as { readonly attrs: { readonly displayName: string } };
  await using mail = await startMail();
  await using outgoing = new Outgoing({ origin: mail.url, timeoutMs: 20_000, maxResponseBytes: 65_536 });
  const values = {
    account: attrs.displayName,
    by: 'foreignPrincipal',
    expires: 0,
    timestamp: Date.now(),
  } as const;
  const answer = await authenticate(outgoing, values, '0'.repeat(40));
  assert.equal(answer.kind, 'fault');
  const { texts, names } = readEnvelope(mail.requests[0]?.body ?? '');
  assert.deepEqual(texts, [expect['soap_text_of_displayName']]);
  assert.equal(names.filter((name) => name === 'zimbraIsAdminAccount').length, 0);
}

/** CPU time of reading it once; it comes in ticks, so it is read many times. */
function readingMs(text: string): number {
  const times = 100;
  const before = process.threadCpuUsage();
  for (let i = 0; i < times; i++) assert.equal(parseXml(text), undefined);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000 / times;
}

/** A file that nobody could open without being noticed: to open a pipe for reading takes a writer. */
async function answeredBySoap({ input, expect }: AttackRow): Promise<void> {
  const { body = '' } = input;
  const folder = mkdtempSync(join(tmpdir(), 'vratar-entity-'));
  try {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const text of [body, body.replace('/etc/passwd', pipe)]) {
      assert.ok(readingMs(text) <= Number(expect['cpu_ms_max'] ?? Number.POSITIVE_INFINITY));
      for (const status of [200, 500]) {
        await using mail = await startMail({ soapAnswer: { status, body: text } });
        await using way = wayInto(mail, { options: { interface: 'soap' } });
        const opening = Promise.resolve(
          way.open(principalOf(), { isAdmin: false, query: new URLSearchParams() }),
        );
        await assert.rejects(
          opening,
          (error) => error instanceof GatewayError && error.code === 'UPSTREAM_PROTOCOL',
        );
      }
    }
    assert.throws(() => openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK), { code: 'ENXIO' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const mailboxStories: Readonly<Record<string, Story>> = {
  'PR-001': async (row) => await Promise.resolve(knownVector(row)),
  'PR-008': manyAtOnce,
  'PR-009': neverLogged,
  'PR-010': clockAhead,
  'XS-001': writtenToSoap,
  'XS-002': writtenToSoap,
  'XS-003': answeredBySoap,
  'XS-004': answeredBySoap,
};

/** Rows about tickets (class `kerberos`): tokens of real realms in the place of `$krb(…)`, and what was judged. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acceptsOf } from '#test/gateway/kerberos-site.ts';
import { startGateway } from '#test/servers/gateway.ts';
import { startKdc } from '#test/servers/kdc.ts';
import type { AttackRow } from './attack-rows.ts';
import { type Observation, runHttpRow } from './exchange-rows.ts';
import { expectAll } from './expectations.ts';
import { homeRealm } from './kerberos-realms.ts';
import { type Rig, Site } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts, siteConfig } from './site.ts';
import { type Conversation, converse } from './wire-client.ts';

/** The row with tokens of its own; any text will do for the token of a scheme that nobody takes. */
async function withTokens(row: AttackRow, rig: Rig): Promise<AttackRow> {
  const realms = await rig.realms();
  const headers = await Promise.all(
    (row.input.headers ?? []).map(async ([name, value]) => {
      const notation = /\$krb\(((?:[^()]|\([^)]*\))*)\)/.exec(value)?.[1];
      const filled =
        notation === undefined ? value : value.replace(`$krb(${notation})`, await realms.token(notation));
      return [name, filled.replace(/\$jwt\(\w+\)/, 'e30.e30.e30')] as const;
    }),
  );
  return { ...row, input: { ...row.input, headers } };
}

/** One exchange, with the number of tickets that were decrypted for it where the row says one. */
const exchange: Story = async (row, rig) => {
  const { ticket_validations: validations, ...expect } = row.expect;
  const site = await rig.siteOf(row);
  const before = await acceptsOf(site.gateway);
  await expectAll(expect, await runHttpRow(await withTokens(row, rig), rig));
  if (validations !== undefined) assert.equal((await acceptsOf(site.gateway)) - before, validations);
};

/** A gateway of this row alone. */
async function siteWith(
  rig: Rig,
  keytab: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Site & AsyncDisposable> {
  const { slapd, upstream } = await rig.servers();
  const setup = { negotiate: true };
  const config = await siteConfig({ upstream: upstream.url, directories: [slapd.url], keytab }, setup);
  const gateway = await startGateway({ config: { ...config, ...more } });
  return Object.assign(new Site(gateway, setup), {
    [Symbol.asyncDispose]: async () => await gateway[Symbol.asyncDispose](),
  });
}

async function ask(row: AttackRow, rig: Rig, site: Site, token: string): Promise<Observation> {
  const headers = [['Authorization', `Negotiate ${token}`]] as const;
  return await runHttpRow({ ...row, input: { ...row.input, headers } }, rig, site);
}

async function twice(site: Site, requests: readonly string[], isKept: boolean): Promise<readonly number[]> {
  const { port } = site.gateway;
  const statusesOf = ({ answers }: Conversation): number[] => answers.map(({ status }) => status);
  if (isKept) {
    const bytes = Buffer.from(requests.join(''));
    return statusesOf(await converse({ port, bytes, answers: requests.length }));
  }
  const statuses: number[] = [];
  for (const request of requests)
    statuses.push(...statusesOf(await converse({ port, bytes: Buffer.from(request) })));
  return statuses;
}

export const kerberosStories: Readonly<Record<string, Story>> = {
  // The wide limit does not depend on this row's set-up: it is asked where tickets are taken.
  'KB-007': async (row, rig) => {
    await exchange({ ...row, input: { ...row.input, setup: { negotiate: true } } }, rig);
  },
  'KB-005': async (row, rig) => {
    const filled = await withTokens(row, rig);
    const first = await runHttpRow({ ...filled, input: { ...filled.input, peer: '192.0.2.9' } }, rig);
    assert.equal(first.answer?.status, 200, first.log);
    await expectAll(row.expect, await runHttpRow(filled, rig));
  },
  'KB-013': async (row, rig) => {
    const folder = await mkdtemp(join(tmpdir(), 'vratar-corpus-'));
    const keytab = join(folder, 'kept.keytab');
    const kdc = await startKdc({ realm: homeRealm, people: ['alice'], services: ['HTTP/app.example.test'] });
    const token = await kdc.token('alice', 'HTTP/app.example.test');
    await copyFile(kdc.keytab, keytab);
    await kdc[Symbol.asyncDispose]();
    await using site = await siteWith(rig, keytab);
    await expectAll(row.expect, await ask(row, rig, site, token));
    await rm(folder, { recursive: true, force: true });
  },
  'KB-019': async (row, rig) => {
    const state = await mkdtemp(join(tmpdir(), 'vratar-corpus-'));
    // What cannot be opened as a file cannot be written to, whoever runs the test.
    await mkdir(join(state, 'kerberos-sso.replay'));
    const realms = await rig.realms();
    await using site = await siteWith(rig, realms.keytab, { state: { directory: state } });
    await expectAll(row.expect, await ask(row, rig, site, await realms.token('alice')));
    await rm(state, { recursive: true, force: true });
  },
  'KB-014': async (row, rig) => {
    const site = await rig.site({ negotiate: true });
    const token = await (await rig.realms()).token('alice');
    const head = `GET /any/x HTTP/1.1\r\nHost: ${hosts.app}\r\n`;
    const requests = [`${head}Authorization: Negotiate ${token}\r\n\r\n`, `${head}\r\n`];
    assert.deepEqual(await twice(site, requests, true), row.expect['statuses']);
  },
  'KB-018': async (row, rig) => {
    const site = await rig.site({ negotiate: true, trustedProxies: ['127.0.0.1/32'] });
    const token = await (await rig.realms()).token('alice');
    const request =
      `GET /_vratar/auth/nginx HTTP/1.1\r\nHost: ${hosts.app}\r\nX-Forwarded-For: 198.51.100.7\r\n` +
      `X-Original-URL: https://${hosts.app}/any/x\r\nX-Original-Method: GET\r\n` +
      `Authorization: Negotiate ${token}\r\n\r\n`;
    const before = await acceptsOf(site.gateway);
    assert.deepEqual(await twice(site, [request, request], false), row.expect['statuses']);
    assert.equal((await acceptsOf(site.gateway)) - before, row.expect['ticket_validations']);
  },
};

/** Rows of this class that are one exchange. */
export const kerberosExchange: Story = exchange;

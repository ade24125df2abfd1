/** Rows about the life of a session and its cookie (classes `session` and `cookie`). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway } from '#test/servers/gateway.ts';
import { groupDn, personDn } from '#test/servers/slapd-data.ts';
import { ManualClock } from '#test/support/clock.ts';
import { until } from '#test/support/until.ts';
import type { Setup } from './attack-rows.ts';
import { getAs, inParallel, ticketIn } from './login-rows.ts';
import { passwordOf } from './people.ts';
import { csrfCookieName, type Rig, Site, sessionCookieName } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts, siteConfig } from './site.ts';
import { startTwoNodes } from './two-nodes.ts';
import { type Conversation, converse, headerValues } from './wire-client.ts';

const minuteMs = 60_000;
/** The default of `session.refreshInterval`. */
const refreshMs = 5 * minuteMs;

interface TimedSite extends AsyncDisposable {
  readonly site: Site;
  readonly clock: ManualClock;
}

/** A gateway whose clock the row moves. */
async function timedSite(rig: Rig, more: Record<string, unknown> = {}, startMs?: number): Promise<TimedSite> {
  const { slapd, upstream } = await rig.servers();
  const config = await siteConfig({ upstream: upstream.url, directories: [slapd.url] }, {});
  const clock = new ManualClock(startMs);
  const gateway = await startGateway({ config: { ...config, ...more }, clock });
  return {
    site: new Site(gateway, {}),
    clock,
    [Symbol.asyncDispose]: async () => await gateway[Symbol.asyncDispose](),
  };
}

async function statusAs(site: Site, ticket: string | undefined, target = '/'): Promise<number | undefined> {
  return (await getAs(site, ticket, target)).answers[0]?.status;
}

export async function signOut(site: Site, ticket: string): Promise<Conversation> {
  const { field, cookie } = await site.form();
  const body = `csrf=${field}`;
  return await converse({
    port: site.gateway.port,
    bytes: Buffer.from(
      `POST /_vratar/logout HTTP/1.1\r\nHost: ${hosts.portal}\r\nOrigin: https://${hosts.portal}\r\n` +
        `Accept: text/html\r\nCookie: ${sessionCookieName}=${ticket}; ${csrfCookieName}=${cookie}\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ),
  });
}

/** Every one of these values opens nothing. */
async function allRefused(site: Site, values: readonly string[], expected: unknown): Promise<void> {
  await inParallel(values, async (value) => {
    const { answers } = await converse({
      port: site.gateway.port,
      bytes: Buffer.from(
        `GET / HTTP/1.1\r\nHost: ${hosts.app}\r\nCookie: ${sessionCookieName}=${value}\r\n\r\n`,
        'latin1',
      ),
    });
    assert.equal(answers[0]?.status, expected, JSON.stringify(value));
  });
}

/** Changes the directory, lets the refresh come due, and awaits the answer the row expects. */
async function afterChange(
  { site, clock }: TimedSite,
  rig: Rig,
  { ticket, target, change, back }: { ticket: string; target: string; change: string; back: string },
  expected: unknown,
): Promise<void> {
  const { slapd } = await rig.servers();
  await slapd.modify(change);
  try {
    clock.advance(refreshMs + 5_000);
    // The first request afterwards starts the refresh; the row gives it five seconds.
    await until(async () => (await statusAs(site, ticket, target)) === expected, {
      timeoutMs: 5_000,
      what: `status ${String(expected)}`,
    });
  } finally {
    await slapd.modify(back);
  }
}

const leaveAdmins = `dn: ${groupDn('admins')}\nchangetype: modify\n`;
const demote = {
  change: `${leaveAdmins}add: member\nmember: ${personDn('dis')}\n-\ndelete: member\nmember: ${personDn('root1')}\n`,
  back: `${leaveAdmins}add: member\nmember: ${personDn('root1')}\n-\ndelete: member\nmember: ${personDn('dis')}\n`,
};

const endedLogin = async (site: Site, username: string): Promise<string> =>
  await site.signIn(username, passwordOf(username));

export const sessionStories: Readonly<Record<string, Story>> = {
  'CK-017': async (row, rig) => {
    const site = await rig.site();
    const planted = Buffer.alloc(32, 7).toString('base64url');
    const { field, cookie } = await site.form();
    const body = new URLSearchParams({ username: 'alice', password: 'right', csrf: field }).toString();
    const conversation = await converse({
      port: site.gateway.port,
      bytes: Buffer.from(
        `POST /_vratar/login HTTP/1.1\r\nHost: ${hosts.portal}\r\n` +
          `Cookie: ${sessionCookieName}=${planted}; ${csrfCookieName}=${cookie}\r\n` +
          `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ),
    });
    const ticket = ticketIn(conversation, site);
    assert.ok(ticket !== undefined);
    assert.equal(ticket !== planted, row.expect['cookie_changed']);
    assert.equal((await statusAs(site, planted)) === 200, row.expect['planted_value_opens_session']);
    assert.equal(await statusAs(site, ticket), 200);
  },

  // A ticket of another deployment: this one never had it.
  'CK-018': async (row, rig) => {
    const [site, other] = [await rig.site(), await rig.site({ for: 'another deployment' })];
    const ticket = await other.ticketOf('alice');
    const { answers } = await getAs(site, ticket, '/_vratar/login', hosts.portal);
    assert.equal(answers[0]?.status, row.expect['status']);
    const cookies = headerValues(answers[0] ?? { headers: [] }, 'set-cookie');
    assert.ok(
      cookies.some((line) => line.startsWith(`${sessionCookieName}=;`) && /max-age=0(;|$)/i.test(line)),
    );
  },

  // The store a node asks is away; what the node remembers serves for a minute.
  'FA-019': async (row, rig) => {
    const clock = new ManualClock();
    const config = await nodeConfig(rig, { trustedProxies: ['127.0.0.1/32'] });
    await using nodes = await startTwoNodes(config, clock);
    const ticket = await endedLogin(nodes.first, 'alice');
    const verdict = async () => {
      const metadata = ['Method: GET', 'Proto: https', `Host: ${hosts.app}`, 'Uri: /'];
      const head = [
        'GET /_vratar/auth/traefik HTTP/1.1',
        `Host: ${hosts.portal}`,
        `Cookie: ${sessionCookieName}=${ticket}`,
        ...metadata.map((line) => `X-Forwarded-${line}`),
      ].join('\r\n');
      const bytes = Buffer.from(`${head}\r\n\r\n`);
      return (await converse({ port: nodes.first.gateway.port, bytes })).answers[0];
    };
    assert.equal((await verdict())?.status, 200);
    nodes.isCut = true;
    clock.advance((Number(row.expect['within_s']) - 5) * 1_000);
    const stale = await verdict();
    assert.equal(stale?.status, row.expect['status']);
    assert.deepEqual(headerValues(stale ?? { headers: [] }, 'x-auth-user'), ['alice']);
    clock.advance(10_000);
    assert.equal((await verdict())?.status, row.expect['then_status']);
  },

  'SE-001': async (row, rig) => {
    const site = await rig.site();
    const bytes = Buffer.from(await site.ticketOf('alice'), 'base64url');
    const flipped = Array.from({ length: bytes.length * 8 }, (_, bit) => {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return changed.toString('base64url');
    });
    await allRefused(site, flipped, row.expect['status']);
    assert.equal(await statusAs(site, await site.ticketOf('alice')), 200);
  },

  'SE-002': async (row, rig) => {
    const site = await rig.site();
    const ticket = await site.ticketOf('alice');
    const prefixes = Array.from({ length: ticket.length }, (_, length) => ticket.slice(0, length));
    // What a cookie's value may hold (RFC 6265 section 4.1.1), and every byte above ASCII.
    const octets = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).filter((char) =>
      /[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e\x80-\xff]/.test(char),
    );
    await allRefused(site, [...prefixes, ...octets.map((char) => ticket + char)], row.expect['status']);
  },

  'SE-009': async (row, rig) => {
    const site = await rig.site();
    const ticket = await endedLogin(site, 'alice');
    assert.equal(await statusAs(site, ticket), 200);
    assert.equal((await signOut(site, ticket)).answers[0]?.status, 303);
    assert.equal(await statusAs(site, ticket), row.expect['status']);
  },

  'SE-010': async (row, rig) => {
    await using nodes = await startTwoNodes(await nodeConfig(rig));
    const ticket = await endedLogin(nodes.first, 'alice');
    assert.equal(await statusAs(nodes.second, ticket), 200);
    assert.equal((await signOut(nodes.first, ticket)).answers[0]?.status, 303);
    await until(async () => (await statusAs(nodes.second, ticket)) === row.expect['status'], {
      timeoutMs: 1_000,
      what: 'the end on the other node',
    });
  },

  'SE-011': async (row, rig) => {
    await using timed = await timedSite(rig);
    const ticket = await endedLogin(timed.site, 'root1');
    assert.equal(await statusAs(timed.site, ticket, '/admin/x'), 200);
    await afterChange(timed, rig, { ticket, target: '/admin/x', ...demote }, row.expect['status']);
  },

  'SE-012': async (row, rig) => {
    await using timed = await timedSite(rig);
    const { site } = timed;
    const older = await endedLogin(site, 'root1');
    assert.equal(await statusAs(site, older, '/admin/x'), 200);
    const { slapd } = await rig.servers();
    await slapd.modify(demote.change);
    try {
      timed.clock.advance(refreshMs + 5_000);
      const newer = await endedLogin(site, 'root1');
      assert.equal(await statusAs(site, newer, '/admin/x'), 403);
      await until(async () => (await statusAs(site, older, '/admin/x')) === row.expect['status'], {
        what: 'the demotion of the older session',
      });
    } finally {
      await slapd.modify(demote.back);
    }
  },

  'SE-013': async (row, rig) => {
    await using timed = await timedSite(rig);
    const ticket = await endedLogin(timed.site, 'alice');
    const modify = `dn: ${personDn('alice')}\nchangetype: modify\n`;
    await afterChange(
      timed,
      rig,
      {
        ticket,
        target: '/',
        change: `${modify}add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
        back: `${modify}delete: pwdAccountLockedTime\n`,
      },
      row.expect['status'],
    );
  },

  'SE-015': async (row, rig) => {
    await using timed = await timedSite(rig);
    const ticket = await endedLogin(timed.site, 'alice');
    assert.equal(await statusAs(timed.site, ticket), 200);
    timed.clock.advance(60 * minuteMs + 1_000);
    assert.equal(await statusAs(timed.site, ticket), row.expect['status']);
  },

  'SE-016': async (row, rig) => {
    const absoluteMs = 30 * minuteMs;
    await using timed = await timedSite(rig, {
      session: { cookie: { name: 'gw' }, idleTimeout: '30m', absoluteTimeout: '30m' },
    });
    const ticket = await endedLogin(timed.site, 'alice');
    for (let passedMs = 0; passedMs < absoluteMs - minuteMs; passedMs += minuteMs) {
      timed.clock.advance(minuteMs);
      assert.equal(await statusAs(timed.site, ticket), 200, `after ${passedMs} ms`);
    }
    timed.clock.advance(minuteMs + 1_000);
    assert.equal(await statusAs(timed.site, ticket), row.expect['status']);
  },

  // A node whose clock runs an hour ahead issued it.
  'SE-017': async (row, rig) => {
    const folder = mkdtempSync(join(tmpdir(), 'vratar-corpus-'));
    try {
      const state = { state: { directory: join(folder, 'data') } };
      const nowMs = Date.now();
      let ticket: string;
      {
        await using ahead = await timedSite(rig, state, nowMs + 60 * minuteMs);
        ticket = await endedLogin(ahead.site, 'alice');
        assert.equal(await statusAs(ahead.site, ticket), 200);
      }
      await using right = await timedSite(rig, state, nowMs);
      assert.equal(await statusAs(right.site, ticket), row.expect['status']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  'SE-022': async (row, rig) => {
    const site = await rig.site();
    const { upstream } = await rig.servers();
    const users = row.expect['upstream_users'] as string[];
    const tickets = [...(await Promise.all(users.map(async (user) => await site.ticketOf(user)))), undefined];
    upstream.reset();
    const requests = tickets.map((ticket) =>
      [
        'GET / HTTP/1.1',
        `Host: ${hosts.app}`,
        ...(ticket === undefined ? [] : [`Cookie: ${sessionCookieName}=${ticket}`]),
        '\r\n',
      ].join('\r\n'),
    );
    const { answers } = await converse({
      port: site.gateway.port,
      bytes: Buffer.from(requests.join('')),
      answers: tickets.length,
    });
    assert.deepEqual(
      answers.map(({ status }) => status),
      row.expect['statuses'],
    );
    assert.deepEqual(
      upstream.completed.flatMap((request) => headerValues(request, 'x-auth-user')),
      users,
    );
  },

  'SE-023': async (_row, rig) => {
    const { upstream } = await rig.servers();
    const config = await siteConfig({ upstream: upstream.url, directories: ['ldap://127.0.0.1:1'] }, {});
    const [, local] = config['providers'] as readonly { users: readonly { passwordHash: string }[] }[];
    const passwordHash = local?.users[0]?.passwordHash;
    const provider = (name: string) => ({
      name,
      type: 'local',
      users: [{ username: '1001', passwordHash, groups: ['staff'] }],
    });
    await using gateway = await startGateway({
      config: { ...config, providers: [provider('a'), provider('b')] },
    });
    const site = new Site(gateway, {});
    const [a = '', b = ''] = await Promise.all(
      ['a', 'b'].map(async (name) => await site.signIn('1001', 'right', name)),
    );
    const [first, second] = await Promise.all(
      [a, b].map(async (ticket) => {
        const { answers } = await getAs(site, ticket, '/_vratar/userinfo');
        const { subject, provider: name } = JSON.parse(answers[0]?.body ?? '{}') as Record<string, string>;
        return { subject, name };
      }),
    );
    assert.deepEqual(
      [first, second],
      [
        { subject: '1001', name: 'a' },
        { subject: '1001', name: 'b' },
      ],
    );
    // What ends for one goes on for the other.
    await signOut(site, a);
    assert.deepEqual([await statusAs(site, a), await statusAs(site, b)], [401, 200]);
  },

  'SE-024': async (row, rig) => {
    await using nodes = await startTwoNodes(await nodeConfig(rig));
    const { first, second } = nodes;
    const ticket = await endedLogin(first, 'alice');
    await first.form();
    nodes.isCut = true;
    const ended = await signOut(first, ticket);
    const statuses = [ended.answers[0]?.status, await statusAs(first, ticket)];
    const cookies = headerValues(ended.answers[0] ?? { headers: [] }, 'set-cookie');
    assert.ok(
      cookies.some((line) => line.startsWith(`${sessionCookieName}=;`)),
      'the cookie is cleared',
    );
    assert.match(ended.answers[0]?.body ?? '', /could not be recorded everywhere yet/);
    assert.ok(nodes.logText.includes('session.revocation-pending'));
    nodes.isCut = false;
    await until(async () => (await statusAs(second, ticket)) === 401, { what: 'the end on the other node' });
    statuses.push(await statusAs(second, ticket));
    assert.deepEqual(statuses, row.expect['statuses']);
  },
};

async function nodeConfig(
  rig: Rig,
  setup: Setup = {},
): Promise<Record<string, unknown> & { server: Record<string, unknown> }> {
  const { slapd, upstream } = await rig.servers();
  return await siteConfig({ upstream: upstream.url, directories: [slapd.url] }, setup);
}

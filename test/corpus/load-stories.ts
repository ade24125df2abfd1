/**
 * Rows about load (classes `denial-of-service`, `forward-auth`, `logging-and-metrics`), against a gateway in processes
 * of its own. Numbers of connections are the rows'; an attack lasts seconds where the rows give it a minute.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { startGateway } from '#test/servers/gateway.ts';
import { until } from '#test/support/until.ts';
import type { AttackRow } from './attack-rows.ts';
import {
  AttackSockets,
  type LoadTarget,
  measuredAgain,
  Outlier,
  onThisMachine,
  type Probe,
  startLoadTarget,
  startProbe,
} from './load-target.ts';
import { getAs, inParallel, postLogin } from './login-rows.ts';
import { startCorpusDirectory } from './people.ts';
import { csrfCookieName, Site } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts, siteConfig } from './site.ts';
import { deafUpstream, endlessUpstream } from './stubborn-upstreams.ts';
import { converse } from './wire-client.ts';

/** Limits of the product, by the names of the rows, in seconds. */
const limits: Readonly<Record<string, number>> = {
  headersTimeout: 10,
  // A form has to arrive within this.
  requestTimeout: 10,
  keepAliveTimeout: 65,
};

interface Attack {
  readonly connections: number;
  readonly begin: string;
  readonly trickle?: string;
}

/** Connections that never finish what they began; all are gone in time and nobody else notices. */
function stalling({ connections, begin, trickle }: Attack): Story {
  return async (row, rig) => {
    await using target = await startLoadTarget(rig);
    await using probe = await startProbe(target);
    const rssBefore = target.rssMb();
    using attack = new AttackSockets();
    const startedAt = performance.now();
    await attack.open(target.gateway.port, connections, (socket) => {
      if (begin !== '') socket.write(begin);
    });
    const rssGrown = target.rssMb() - rssBefore;
    const { at, max } = row.expect['attack_connections_after_s'] as { at: string; max: number };
    const [name = '', more = '0'] = at.split('+');
    const pace = setInterval(() => attack.writeAll(trickle ?? ''), 3_000);
    try {
      await until(() => attack.size <= max, {
        timeoutMs: ((limits[name] ?? 0) + Number(more)) * 1_000 - (performance.now() - startedAt),
        what: `the end of ${connections} stalled connections`,
      });
    } finally {
      clearInterval(pace);
    }
    await assertProbe(row, probe);
    if (row.expect['rss_growth_max_mb'] !== undefined) assertGrowth(row, rssGrown);
  };
}

export async function assertProbe({ expect }: AttackRow, probe: Probe): Promise<void> {
  const { errors, p99Ms, directP99Ms, sent } = await probe.stop();
  assert.ok(sent > 5, `${sent} probes`);
  assert.equal(errors.length, expect['probe_errors'], errors.join(' '));
  const most = expect['probe_p99_ms_max'];
  // The way there and back is taken twice, and the application has its part in both.
  if (most !== undefined) assertFast(p99Ms - 3 * directP99Ms, Number(most));
}

function assertFast(tookMs: number, limitMs: number): void {
  const allowedMs = onThisMachine(limitMs);
  if (tookMs > allowedMs) throw new Outlier(`${tookMs} ms, where ${allowedMs} are allowed`);
}

function assertGrowth({ expect }: AttackRow, grownMb: number): void {
  assert.ok(grownMb <= Number(expect['rss_growth_max_mb']), `${grownMb} MB more`);
}

/** The most memory of the gateway within two seconds. */
async function mostRssMb(target: LoadTarget): Promise<number> {
  let most = 0;
  for (let i = 0; i < 20; i++) {
    most = Math.max(most, target.rssMb());
    await sleep(100);
  }
  return most;
}

const requestLine = (method: string, target: string, host: string): string =>
  `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n`;

/** One request to the form; the worker's memory and processor time around it, once everything is warm. */
async function postBody(
  target: LoadTarget,
  headers: readonly string[],
  body: Buffer,
): Promise<{ status: number | undefined; grownMb: number; cpuMs: number }> {
  const { field, cookie } = await target.site.form();
  assert.notEqual(field, '');
  const head = [
    requestLine('POST', '/_vratar/login', hosts.portal).trimEnd(),
    `Cookie: ${csrfCookieName}=${cookie}`,
    `Content-Length: ${body.length}`,
    ...headers,
    '\r\n',
  ].join('\r\n');
  const bytes = Buffer.concat([Buffer.from(head), body]);
  await converse({ port: target.gateway.port, bytes });
  const [rssBefore, cpuBefore] = [target.rssMb(), target.cpuMs()];
  const { answers } = await converse({ port: target.gateway.port, bytes });
  return {
    status: answers[0]?.status,
    grownMb: target.rssMb() - rssBefore,
    cpuMs: target.cpuMs() - cpuBefore,
  };
}

const loads: Readonly<Record<string, Story>> = {
  'DS-001': stalling({ connections: 1_000, begin: 'GET / HTTP/1.1\r\nX: ', trickle: 'a' }),
  'DS-002': stalling({
    connections: 1_000,
    begin:
      `${requestLine('POST', '/_vratar/login', hosts.portal)}` +
      'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n',
    trickle: 'a',
  }),
  'DS-003': stalling({ connections: 10_000, begin: '' }),

  'DS-004': async (row, rig) => {
    await using target = await startLoadTarget(rig, {}, undefined, ['prlimit', '--nofile=1024:1024']);
    const ticket = await target.site.ticketOf('alice');
    const linesBefore = target.gateway.logs.length;
    {
      using attack = new AttackSockets();
      await attack.open(target.gateway.port, 2_000, () => undefined);
      await sleep(3_000);
    }
    await until(async () => (await getAs(target.site, ticket, '/any/x')).answers[0]?.status === 200, {
      timeoutMs: Number(row.expect['recovers_within_s']) * 1_000,
      what: 'an answer after the attack',
    });
    assert.equal(target.gateway.child.exitCode, null);
    assert.ok(target.gateway.logs.length - linesBefore <= Number(row.expect['log_lines_max']));
  },

  'DS-007': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    await using probe = await startProbe(target);
    const rssBefore = target.rssMb();
    const socket = connect(target.gateway.port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    socket.resume();
    // As often as it is taken: the gateway answers some, says that the rest was not looked at, and closes.
    socket.write(`${requestLine('GET', '/public/', hosts.app)}\r\n`.repeat(10_000));
    await until(() => socket.closed, { timeoutMs: 30_000, what: 'the end of the connection' });
    await sleep(1_000);
    await assertProbe(row, probe);
    assertGrowth(row, target.rssMb() - rssBefore);
  },

  'DS-008': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    const { upstream } = await rig.servers();
    await using probe = await startProbe(target);
    const rssBefore = target.rssMb();
    let mostSockets = 0;
    for (const endAt = performance.now() + 3_000; performance.now() < endAt; ) {
      // Two thousand a second, as the row has it.
      const pace = sleep(50);
      await Promise.all(
        Array.from({ length: 100 }, async () => {
          const socket = connect(target.gateway.port, '127.0.0.1');
          socket.on('error', () => socket.destroy());
          await once(socket, 'connect');
          socket.write(`${requestLine('GET', '/public/', hosts.app)}\r\n`, () => socket.resetAndDestroy());
        }),
      );
      mostSockets = Math.max(mostSockets, upstream.openSockets);
      await pace;
    }
    assert.ok(mostSockets <= upstreamPool, `${mostSockets} connections to the upstream`);
    await assertProbe(row, probe);
    assertGrowth(row, target.rssMb() - rssBefore);
  },

  'DS-009': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    // Members of a gzip file may follow each other (RFC 1952 section 2.2): 16 times 64 MiB.
    const member = gzipSync(Buffer.alloc(64 * 1_048_576));
    const bomb = Buffer.concat(Array.from({ length: 16 }, () => member));
    const { status, grownMb } = await postBody(
      target,
      ['Content-Type: application/x-www-form-urlencoded', 'Content-Encoding: gzip'],
      bomb,
    );
    assert.equal(status, row.expect['status']);
    assertGrowth(row, grownMb);
  },

  'DS-010': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    const keys = Array.from({ length: 1_000_000 }, (_, i) => `"${i}":1`).join(',');
    const { status, cpuMs } = await postBody(
      target,
      ['Content-Type: application/json'],
      Buffer.from(`{${keys.slice(0, 8 * 1_048_576)}}`),
    );
    assert.equal(status, row.expect['status']);
    assert.ok(cpuMs <= Number(row.expect['cpu_ms_max']), `${cpuMs} ms of CPU`);
  },

  'DS-011': async (row, rig) => {
    await using target = await startLoadTarget(rig, {});
    await target.site.form();
    await using probe = await startProbe(target);
    const rssBefore = target.rssMb();
    let mostMb = 0;
    const statuses = new Map<number, number>();
    await inParallel(
      Array.from({ length: 500 }),
      async (_, i) => {
        // All of them are under way at once, but they do not all begin in the same turn.
        await sleep(i * 5);
        const { answers } = await postLogin(
          target.site,
          { username: 'alice', password: 'wrong', provider: 'local' },
          { localAddress: `127.2.${i >> 8}.${i & 255}` },
        );
        const status = answers[0]?.status ?? 0;
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        mostMb = Math.max(mostMb, target.rssMb());
      },
      500,
    );
    statuses.delete(401);
    assert.deepEqual([...statuses.keys()], [row.expect['excess_status']]);
    await assertProbe(row, probe);
    assertGrowth(row, mostMb - rssBefore);
  },

  'DS-014': async (row, rig) => {
    await using endless = await endlessUpstream();
    await using target = await startLoadTarget(rig, {}, endless.url);
    await using probe = await startProbe(target);
    const rssBefore = target.rssMb();
    using attack = new AttackSockets();
    await attack.open(target.gateway.port, 100, (socket) => {
      socket.write(`${requestLine('GET', '/public/1GiB', hosts.app)}\r\n`);
      // Reads nothing: slower still than the row's client.
      socket.pause();
    });
    const mostMb = await mostRssMb(target);
    await assertProbe(row, probe);
    assertGrowth(row, mostMb - rssBefore);
    assert.ok(endless.written < 1_073_741_824, 'the upstream was held back');
  },

  'DS-015': async (row, rig) => {
    await using deaf = await deafUpstream();
    await using target = await startLoadTarget(rig, {}, deaf.url);
    await using probe = await startProbe(target);
    const rssBefore = target.rssMb();
    using attack = new AttackSockets();
    let sent = 0;
    await attack.open(target.gateway.port, 100, (socket) => {
      socket.write(`${requestLine('POST', '/public/upload', hosts.app)}Content-Length: 1073741824\r\n\r\n`);
      const chunk = Buffer.alloc(262_144);
      const push = (): void => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
        sent += chunk.length;
        socket.once('drain', push);
      };
      push();
    });
    const mostMb = await mostRssMb(target);
    await assertProbe(row, probe);
    assertGrowth(row, mostMb - rssBefore);
    assert.ok(sent < 1_073_741_824, `the client was held back after ${sent} bytes`);
  },

  'DS-016': async (row, rig) => {
    const site = await rig.site();
    const conversation = await converse({
      port: site.gateway.port,
      bytes: Buffer.from(
        `${requestLine('POST', '/admin/x', hosts.app)}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
      ),
      untilClosed: row.expect['connection'] === 'close',
    });
    assert.deepEqual(
      conversation.answers.map(({ status }) => status),
      row.expect['statuses'],
    );
    assert.deepEqual(conversation.interim.length === 0, row.expect['no_100']);
    assert.ok(conversation.isClosedByGateway);
  },

  'DS-020': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    const line = `/_vratar/providers/sso/callback?${'a=1&'.repeat(10_000)}`;
    const bytes = Buffer.from(`${requestLine('GET', line, hosts.portal)}\r\n`);
    await converse({ port: target.gateway.port, bytes });
    const before = target.cpuMs();
    const { answers } = await converse({ port: target.gateway.port, bytes });
    assert.equal(answers[0]?.status, row.expect['status']);
    assert.ok(target.cpuMs() - before <= Number(row.expect['cpu_ms_max']));
  },

  'FA-018': async (row, rig) => {
    await using slapd = await startCorpusDirectory({ lean: true, bulk: { people: 100, teams: 1 } });
    const { upstream } = await rig.servers();
    const config = await siteConfig(
      { upstream: upstream.url, directories: [slapd.url] },
      { trustedProxies: ['127.0.0.1/32'], rules: ['/ : any user'] },
    );
    await using gateway = await startGateway({ config });
    const site = new Site(gateway, {});
    const people = Array.from({ length: 100 }, (_, n) => String(n).padStart(6, '0'));
    const tickets = new Map<string, string>();
    await inParallel(people, async (number) => {
      tickets.set(`u${number}`, await site.signIn(`u${number}`, `password-${number}`));
    });
    const names = [...tickets.keys()];
    const agent = new Agent({ keepAlive: true, maxSockets: 200 });
    const wrong = { identity: 0, status: 0 };
    await inParallel(
      Array.from({ length: 5_000 }),
      async () => {
        const name = names[Math.floor(Math.random() * names.length)] ?? '';
        const verdict = await askVerdict(gateway.port, agent, tickets.get(name) ?? '');
        if (verdict.status !== 200) wrong.status++;
        if (verdict.user !== name) wrong.identity++;
      },
      200,
    );
    agent.destroy();
    assert.equal(wrong.identity, row.expect['wrong_identity']);
    assert.equal(wrong.status, row.expect['wrong_status']);
  },

  'LM-009': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    const { site, gateway } = target;
    const [alice, eve] = [await site.ticketOf('alice'), await site.ticketOf('eve')];
    // Nobody reads the log any more; a refusal writes a line each time.
    gateway.child.stdout?.pause();
    const tookMs: number[] = [];
    const running: Promise<void>[] = [];
    for (const endAt = performance.now() + 4_000; performance.now() < endAt; ) {
      running.push(
        ...[alice, eve].map(async (ticket, i) => {
          const startedAt = performance.now();
          const { answers } = await getAs(site, ticket, i === 0 ? '/' : '/admin/x');
          assert.equal(answers[0]?.status, i === 0 ? row.expect['status'] : 403);
          tookMs.push(performance.now() - startedAt);
        }),
      );
      await sleep(10);
    }
    await Promise.all(running);
    gateway.child.stdout?.resume();
    const p99Ms = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? 0;
    assertFast(p99Ms, Number(row.expect['event_loop_delay_p99_ms_max']));
  },

  'LM-004': async (row, rig) => {
    await using target = await startLoadTarget(rig);
    const { site } = target;
    const series = async (): Promise<number> =>
      (await site.gateway.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
        .length;
    // One of each first: what a kind of request adds to the metrics is not growth.
    const some = async (from: number, to: number): Promise<void> => {
      await inParallel(
        Array.from({ length: to - from }, (_, i) => from + i),
        async (i) => {
          await getAs(site, undefined, `/any/path-${i}?agent=${i}`);
          await getAs(site, undefined, '/any/x', `host-${i}.test`);
          await converse({
            port: target.gateway.port,
            bytes: Buffer.from(`${requestLine('GET', '/public/', hosts.app)}User-Agent: agent-${i}\r\n\r\n`),
          });
          if (i % 5 === 0)
            await postLogin(site, { username: `somebody-${i}`, password: 'x', provider: 'corp' });
        },
      );
    };
    await some(0, 300);
    const [seriesBefore, rssBefore] = [await series(), target.rssMb()];
    await some(300, 1_200);
    assert.ok((await series()) - seriesBefore <= Number(row.expect['metrics_series_growth_max']));
    assertGrowth(row, target.rssMb() - rssBefore);
  },
};

export const loadStories: Readonly<Record<string, Story>> = Object.fromEntries(
  Object.entries(loads).map(([id, story]) => [id, measuredAgain(story)]),
);

/** Connections to one upstream, per worker. */
const upstreamPool = 256;

async function askVerdict(
  port: number,
  agent: Agent,
  ticket: string,
): Promise<{ status: number | undefined; user: string | undefined }> {
  const outgoing = request({
    port,
    host: '127.0.0.1',
    agent,
    path: '/_vratar/auth/traefik',
    headers: {
      Host: hosts.portal,
      Cookie: `__Host-gw=${ticket}`,
      'X-Forwarded-Method': 'GET',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': hosts.app,
      'X-Forwarded-Uri': '/any/x',
    },
  }).end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return { status: response.statusCode, user: response.headers['x-auth-user'] as string | undefined };
}

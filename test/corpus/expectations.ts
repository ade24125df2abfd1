/** What a row expects, key by key, against what was observed. A key without a check here fails its row. */
import assert from 'node:assert/strict';
import { defaultTimings } from '#src/directory/timings.ts';
import { foldHeaderName } from '#src/headers/strip.ts';
import { service } from '#test/servers/slapd-data.ts';
import { until } from '#test/support/until.ts';
import { operationTimeoutMs } from './directory-faults.ts';
import type { UpstreamRequest } from './echo-upstream.ts';
import { cookieName, type DirectoryView, type Observation } from './exchange-rows.ts';
import { postLogin } from './login-rows.ts';
import { hosts } from './site.ts';
import { converse, headerValues, type WireAnswer } from './wire-client.ts';

type Check<Expected> = (expected: Expected, seen: Observation) => void | Promise<void>;

/** Headers whose name in the rows differs from the product's. */
const productNames: Readonly<Record<string, string>> = {
  'x-auth-groups-overflow': 'remote-groups-overflow',
};

/** Words of the log that differ from the product's. */
const productWords: Readonly<Record<string, readonly string[]>> = {
  clock_skew: ['"reason":"skew"'],
  replay_store: ['replay-store-unusable'],
  account_state: ['password-must-change', 'account-locked', 'sign-in-not-permitted'],
};

const nameOf = (name: string): string => productNames[name] ?? name;

/** Ours, exactly as they are written. */
const gatewayNames: ReadonlySet<string> = new Set([
  'X-Auth-User',
  'X-Auth-Name',
  'X-Auth-Email',
  'X-Auth-Groups',
  'X-Auth-Roles',
]);

const checks: Readonly<Record<string, Check<never>>> = {
  status: (expected: number, { answer, log }) =>
    assert.equal(answer?.status, expected, `${answer?.body ?? 'no answer'}\n${log}`),
  statuses: (expected: number[], { conversation }) =>
    assert.deepEqual(
      conversation.answers.map(({ status }) => status),
      expected,
    ),
  upstream_requests: (expected: number, { upstreamStarted }) => assert.equal(upstreamStarted, expected),
  upstream_completed: (expected: number, { upstreamCompleted }) =>
    assert.equal(upstreamCompleted.length, expected),
  upstream_socket: (_expected: 'destroyed', { upstream }) => assert.equal(upstream.openAfterCut, 0),
  upstream_has: (expected: Record<string, string[]>, seen) => {
    for (const [name, values] of Object.entries(expected)) {
      assert.deepEqual(
        headerValues(received(seen), nameOf(name)),
        values.map((value) => filled(value, seen)),
        name,
      );
    }
  },
  upstream_lacks: (expected: string[], seen) => {
    for (const name of expected) assert.deepEqual(headerValues(received(seen), nameOf(name)), [], name);
  },
  upstream_lacks_folded: (expected: string[], seen) => {
    const names = received(seen).headers.filter((_, i) => i % 2 === 0);
    for (const folded of expected) {
      const twins = names.filter((name) => foldHeaderName(name) === folded && !gatewayNames.has(name));
      assert.deepEqual(twins, []);
    }
  },
  upstream_cookie_has: (expected: Record<string, string>, seen) => {
    for (const [name, value] of Object.entries(expected)) assert.equal(cookiesOf(seen).get(name), value);
  },
  upstream_cookie_lacks: (expected: string[], seen) => {
    for (const name of expected) assert.ok(!cookiesOf(seen).has(name), name);
  },
  upstream_trailers: (expected: object, seen) =>
    assert.deepEqual(Object.fromEntries(received(seen).trailers.map((part) => [part, part])), expected),
  upstream_target: (expected: string, seen) => assert.equal(received(seen).target, expected),
  upstream_method: (expected: string, seen) => assert.equal(received(seen).method, expected),
  upstream_body: async (expected: string, seen) => {
    const { createHash } = await import('node:crypto');
    assert.equal(received(seen).bodySha256, createHash('sha256').update(expected).digest('hex'));
  },
  upstream_body_length: (expected: number, seen) => assert.equal(received(seen).bodyBytes, expected),
  upstream_head_max_bytes: (expected: number, seen) => assert.ok(received(seen).headBytes <= expected),
  response_head_max_bytes: (expected: number, seen) => assert.ok(answerOf(seen).headBytes <= expected),
  connection: (_expected: 'close', { conversation }) =>
    assert.ok(conversation.isClosedByGateway, 'the gateway kept the connection'),
  header: (expected: Record<string, string>, seen) => {
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(headerValues(answerOf(seen), nameOf(name)), [value], name);
    }
  },
  header_present: (expected: string[], seen) => {
    for (const name of expected) assert.notEqual(headerValues(answerOf(seen), name).length, 0, name);
  },
  header_lacks: (expected: Record<string, string>, seen) => {
    for (const [name, text] of Object.entries(expected)) {
      for (const value of headerValues(answerOf(seen), name)) assert.ok(!value.includes(text), value);
    }
  },
  header_absent: (expected: string[], seen) => {
    for (const name of expected) assert.deepEqual(headerValues(answerOf(seen), name), [], name);
  },
  csp_has: (expected: string[], seen) => {
    const [policy = ''] = headerValues(answerOf(seen), 'content-security-policy');
    for (const part of expected) assert.ok(policy.includes(part), policy);
  },
  location: (expected: string, seen) =>
    assert.deepEqual(headerValues(answerOf(seen), 'location'), [expected]),
  location_prefix: async (expected: string, seen) => {
    const [location = ''] = headerValues(answerOf(seen), 'location');
    const prefix = await seen.site.fill(expected);
    assert.ok(location.startsWith(prefix), location);
  },
  location_param: (expected: Record<string, string>, seen) => {
    const { searchParams } = locationOf(seen);
    for (const [name, value] of Object.entries(expected)) assert.equal(searchParams.get(name), value, name);
  },
  location_lacks_param: (expected: string[], seen) => {
    const [location] = headerValues(answerOf(seen), 'location');
    const names = location === undefined ? [] : [...locationOf(seen).searchParams.keys()];
    for (const name of expected) assert.ok(!names.includes(name), name);
  },
  // The answer's own date counts whole seconds, cut off, and is kept for up to another one.
  timestamp_skew_ms_max: (expected: number, seen) => {
    const [date = ''] = headerValues(answerOf(seen), 'date');
    const skewMs = Number(locationOf(seen).searchParams.get('timestamp')) - Date.parse(date);
    assert.ok(skewMs >= -expected && skewMs <= expected + 2_000, `${skewMs} ms`);
  },
  form_redirect_value: (expected: string, seen) =>
    assert.equal(/name="rd" value="([^"]*)"/.exec(answerOf(seen).body)?.[1], expected),
  set_cookie: (expected: Record<string, Record<string, unknown>>, seen) => {
    for (const [name, attributes] of Object.entries(expected)) {
      const cookie = setCookies(answerOf(seen)).get(name);
      assert.ok(cookie !== undefined, `${name} is not set`);
      for (const [attribute, value] of Object.entries(attributes)) {
        const found = cookie.get(attribute.toLowerCase());
        if (value === null) assert.equal(found, undefined, attribute);
        else assert.equal(found, value === true ? '' : `${value as string | number}`, attribute);
      }
    }
  },
  set_cookie_lacks: (expected: string[], seen) => {
    for (const name of expected) assert.ok(!setCookies(answerOf(seen)).has(name), name);
  },
  session: async (expected: string, seen) => {
    assert.ok(!setCookies(answerOf(seen)).has(cookieName(seen.site)), 'a session was opened or ended');
    if (expected === 'none') return;
    const head = `GET /any/x HTTP/1.1\r\nHost: ${hosts.app}\r\nCookie: ${cookieName(seen.site)}=${seen.ticket}\r\n\r\n`;
    const { answers } = await converse({ port: seen.site.gateway.port, bytes: Buffer.from(head) });
    assert.equal(answers[0]?.status, 200);
    assert.deepEqual(headerValues(JSON.parse(answers[0].body) as UpstreamRequest, 'x-auth-user'), [expected]);
  },
  body: (expected: string, seen) => assert.equal(answerOf(seen).body, expected),
  body_lacks: (expected: string[], seen) => {
    for (const text of expected) assert.ok(!answerOf(seen).body.includes(text), text);
  },
  log_has: (expected: string, { log }) => {
    const words = productWords[expected] ?? [expected];
    assert.ok(
      words.some((word) => log.includes(word)),
      log,
    );
  },
  log_lacks: (expected: string[], { log }) => {
    for (const text of expected) assert.ok(!log.includes(text), text);
  },
  log_bytes_lack: (expected: string[], { log }) => {
    for (const hex of expected) assert.ok(!Buffer.from(log).includes(Buffer.from(hex, 'hex')), hex);
  },
  // The log of the rig is written at level debug: every line of every level is in it.
  levels: (_expected: string, { log }) => assert.notEqual(log, ''),
  log_lines_added: (expected: number, { log }) =>
    assert.equal(log.trimEnd().split('\n').length, expected, log),
  log_is_json: (_expected: boolean, { log }) => {
    for (const line of log.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line), 'object');
  },
  directory_binds: (expected: number, { directory }) => assert.equal(directory.personBinds, expected),
  directory_operations: (expected: number, { directory }) =>
    assert.equal(askedFor(directory).length, expected),
  directory_operations_max: (expected: number, { directory }) =>
    assert.ok(askedFor(directory).length <= expected, `${askedFor(directory).length} operations`),
  filter_bytes_has: (expected: string, { directory }) =>
    assert.ok(directory.operations.some(({ filter }) => filter.toLowerCase().includes(expected))),
  next_search_bound_as: (_expected: 'service account', { directory }) => assertSearchesAsService(directory),
  directory_size_limit_sent: (expected: number, seen) =>
    assert.equal(counterOf(seen, 'directory_size_limit_sent'), expected),
  outgoing_connections_to_referral: (expected: number, seen) =>
    assert.equal(counterOf(seen, 'outgoing_connections_to_referral'), expected),
  sockets_left: async (expected: number, seen) => {
    await until(() => counterOf(seen, 'sockets_left') === expected, { what: 'the end of the sockets' });
  },
  service_binds_max: (expected: number, seen) =>
    assert.ok(Number(counterOf(seen, 'service_binds_max')) <= expected),
  circuit: async (_expected: 'closed', { site }) => {
    const { directories } = await site.gateway.report();
    assert.deepEqual(
      directories.flatMap(({ servers }) => servers.map(({ available }) => available)),
      [true],
    );
  },
  false_allow: (_expected: 0, seen) => assert.ok(!setCookies(answerOf(seen)).has(cookieName(seen.site))),
  // The bind that opened the session was answered: the first one never was.
  never: (_expected: string, { directory }) => assert.ok(directory.personBinds >= 2),
  each_cookie_max_bytes: (expected: number, seen) => {
    for (const line of headerValues(answerOf(seen), 'set-cookie')) assert.ok(line.length <= expected);
  },
  all_cookies_max_bytes: (expected: number, seen) =>
    assert.ok(headerValues(answerOf(seen), 'set-cookie').join('').length <= expected),
  within_ms: (expected: number | string, { tookMs }) => {
    const limits: Readonly<Record<string, number>> = {
      '2*ldap.timeout+500': 2 * operationTimeoutMs + 500,
      'ldap.connectTimeout+500': defaultTimings.connectMs + 500,
    };
    const limitMs = typeof expected === 'number' ? expected : (limits[expected] ?? 0);
    assert.ok(tookMs <= limitMs, `${tookMs} ms`);
  },
  metrics_lack: async (expected: string[], { site }) => {
    const text = await site.gateway.metrics();
    for (const word of expected) assert.ok(!text.includes(word), word);
  },
  directory_password_bytes: (expected: string, seen) => {
    const sent = counterOf(seen, 'directory_password_bytes') as Buffer;
    assert.ok(sent.includes(Buffer.from(expected, 'hex')));
  },
  // Without a budget of failures left the next attempt would be 429.
  failure_budget_used: async (_expected: 0, { site }) => {
    const { answers } = await postLogin(site, { username: 'alice', password: 'right', provider: 'corp' });
    assert.equal(answers[0]?.status, 503);
  },
  event_loop_delay_p99_ms_max: (expected: number, { eventLoopDelayMs }) =>
    assert.ok(eventLoopDelayMs <= expected, `${eventLoopDelayMs} ms`),
  cpu_ms_max: (expected: number, { cpuMs }) => assert.ok(cpuMs <= expected, `${cpuMs} ms of CPU`),
  rss_growth_max_mb: (expected: number, { rssGrowthMb }) =>
    assert.ok(rssGrowthMb <= expected, `${rssGrowthMb} MB more`),
  process_alive: async (_expected: boolean, { site }) => {
    const head = `GET /public/ HTTP/1.1\r\nHost: ${hosts.app}\r\n\r\n`;
    const { answers } = await converse({ port: site.gateway.port, bytes: Buffer.from(head) });
    assert.equal(answers[0]?.status, 200);
  },
  object_prototype_clean: () => assertPrototypeClean(),
};

/** Names an empty object inherits; nothing may add to them. */
const inherited = Object.getOwnPropertyNames(Object.prototype).toSorted();

export function assertPrototypeClean(): void {
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).toSorted(), inherited);
}

export async function expectAll(expect: Readonly<Record<string, unknown>>, seen: Observation): Promise<void> {
  for (const [key, expected] of Object.entries(expect)) {
    const check = checks[key];
    assert.ok(check !== undefined, `nothing checks "${key}"`);
    await check(expected as never, seen);
  }
}

function counterOf({ directory }: Observation, key: string): unknown {
  const counter = directory.counters[key];
  assert.ok(counter !== undefined, `nothing counts ${key}`);
  return counter();
}

/** Without the service account's binds: a connection may be opened at any time. */
function askedFor({ operations }: DirectoryView): DirectoryView['operations'] {
  return operations.filter(({ kind, dn }) => kind === 'search' || (kind === 'bind' && dn !== service.dn));
}

/** A search is only ever sent on a connection whose last bind was the service account's. */
export function assertSearchesAsService({ operations }: Pick<DirectoryView, 'operations'>): void {
  const boundAs = new Map<number, string>();
  let searches = 0;
  for (const { connection, kind, dn } of operations) {
    if (kind === 'bind') boundAs.set(connection, dn);
    // Connections that were bound before the record began have only ever been the service account's or a person's.
    if (kind !== 'search') continue;
    searches++;
    const name = boundAs.get(connection);
    assert.ok(name === undefined || name === service.dn, `a search was sent as ${name}`);
  }
  assert.notEqual(searches, 0);
}

function received({ upstreamCompleted }: Observation): UpstreamRequest {
  assert.equal(upstreamCompleted.length, 1, 'requests that arrived whole at the upstream');
  return upstreamCompleted[0] as UpstreamRequest;
}

function answerOf({ answer }: Observation): WireAnswer {
  assert.ok(answer !== undefined, 'there was no answer');
  return answer;
}

function locationOf(seen: Observation): URL {
  const [location = ''] = headerValues(answerOf(seen), 'location');
  return new URL(location, `https://${hosts.portal}`);
}

function filled(value: string, { peer, site }: Observation): string {
  const scheme = site.setup['publicUrl'] === 'http' ? 'http' : 'https';
  const port = scheme === 'http' ? '80' : '443';
  return value.replace('$peer', peer).replace('$scheme', scheme).replace('$port', port);
}

function cookiesOf(seen: Observation): ReadonlyMap<string, string> {
  const [line = ''] = headerValues(received(seen), 'cookie');
  return new Map(
    line.split('; ').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}

/** Attributes in lower case, by cookie name; a cookie's value is its attribute `''`. */
function setCookies(answer: WireAnswer): ReadonlyMap<string, ReadonlyMap<string, string>> {
  return new Map(
    headerValues(answer, 'set-cookie').map((line) => {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const split = (text: string): [string, string] => {
        const equals = text.indexOf('=');
        return equals < 0
          ? [text.toLowerCase(), '']
          : [text.slice(0, equals).toLowerCase(), text.slice(equals + 1)];
      };
      const name = pair.slice(0, pair.indexOf('='));
      return [name, new Map([['', pair.slice(name.length + 1)], ...attributes.map(split)])];
    }),
  );
}

/** Rows about sign-in that take more than one request: what is compared, counted or repeated (class `login`). */
import assert from 'node:assert/strict';
import type { AttackRow, Setup } from './attack-rows.ts';
import { measuredAgain, Outlier, onThisMachine } from './load-target.ts';
import { type FormOptions, inParallel, postLogin, type TypedForm } from './login-rows.ts';
import type { Rig, Site } from './rig.ts';
import { hosts } from './site.ts';
import { converse, headerValues, type WireAnswer } from './wire-client.ts';

export type Story = (row: AttackRow, rig: Rig) => Promise<void>;

/** A site with counters of its own. */
async function siteFor(row: AttackRow, rig: Rig, setup: Setup): Promise<Site> {
  return await rig.site({ ...setup, for: row.id });
}

async function attempt(site: Site, typed: TypedForm, options?: FormOptions): Promise<WireAnswer> {
  const [answer] = (await postLogin(site, typed, options)).answers;
  assert.ok(answer !== undefined, 'there was no answer');
  return answer;
}

const wrong = (username: string): TypedForm => ({ username, password: 'wrong' });

/** The page without what differs between any two answers: the form value, the number of the request, the typed name. */
function normalised({ body }: WireAnswer, username: string): string {
  return body
    .replaceAll(/name="csrf" value="[^"]+"/g, 'name="csrf"')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'number')
    .replaceAll(`value="${username}"`, 'value="name"');
}

function headersOf({ headers }: WireAnswer): readonly string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2);
    // The page echoes the typed name, so its length is that name's.
    if (!/^(date|content-length)$/i.test(name)) kept.push(`${name}: ${value}`);
  }
  return kept;
}

/** Two answers that nobody can tell apart. */
function pair(first: string, second: string, more: { failures?: number } = {}): Story {
  return async (row, rig) => {
    const { failures = 0 } = more;
    const site = await siteFor(row, rig, failures === 0 ? {} : { 'throttle.account': String(failures - 2) });
    const [a, b] = await Promise.all(
      [first, second].map(async (username) => {
        await inParallel(Array.from({ length: Math.max(0, failures - 1) }), async () => {
          await attempt(site, wrong(username));
        });
        return await attempt(site, wrong(username));
      }),
    );
    assert.ok(a !== undefined && b !== undefined);
    assert.deepEqual([a.status, b.status], [row.expect['status'], row.expect['status']]);
    // How long one still has to wait depends on when the first failure was.
    const withoutSeconds = (text: string): string =>
      failures === 0 ? text : text.replaceAll(/\b\d+ (seconds?|minutes?)\b/g, 'a while');
    assert.equal(withoutSeconds(normalised(a, first)), withoutSeconds(normalised(b, second)));
    if (row.expect['headers_equal'] === true) assert.deepEqual(headersOf(a), headersOf(b));
  };
}

/** The median of both and the probability that they are of one distribution. */
function timing(typed: Omit<TypedForm, 'username' | 'password'>, setup: Setup): Story {
  return async (row, rig) => {
    const site = await siteFor(row, rig, setup);
    const samples = 300;
    const tookMs: { unknown: number[]; known: number[] } = { unknown: [], known: [] };
    const measure = async (kind: 'unknown' | 'known', username: string): Promise<void> => {
      const startedAt = performance.now();
      const { status } = await attempt(site, { ...wrong(username), ...typed });
      assert.equal(status, 401);
      tookMs[kind].push(performance.now() - startedAt);
    };
    await inParallel(
      Array.from({ length: samples }, (_, i) => i),
      async (i) => {
        // Whoever comes second waits for the first one's hash: each kind does half of the time.
        const pairs = [
          async () => await measure('unknown', `nobody${i}`),
          async () => await measure('known', 'alice'),
        ];
        await Promise.all((i % 2 === 0 ? pairs : pairs.toReversed()).map(async (send) => await send()));
      },
      10,
    );
    const [low = 0, high = 0] = row.expect['median_ratio'] as number[];
    const ratio = median(tookMs.unknown) / median(tookMs.known);
    if (ratio < low || ratio > high) throw new Outlier(`the medians are as ${ratio} to 1`);
    const least = row.expect['mann_whitney_p_min'];
    if (least !== undefined) {
      const p = mannWhitney(tookMs.unknown, tookMs.known);
      // Of a hundred samples that do not differ one is below this by chance, so it is measured again.
      if (p < Number(least)) throw new Outlier(`p = ${p}`);
    }
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** Two-sided, by the normal approximation, which is exact enough for hundreds of samples. */
export function mannWhitney(a: readonly number[], b: readonly number[]): number {
  const ranked = [...a.map((value) => ({ value, isA: true })), ...b.map((value) => ({ value, isA: false }))];
  ranked.sort((left, right) => left.value - right.value);
  const rankSum = ranked.reduce((sum, { isA }, i) => (isA ? sum + i + 1 : sum), 0);
  const u = rankSum - (a.length * (a.length + 1)) / 2;
  const mean = (a.length * b.length) / 2;
  const deviation = Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12);
  const z = Math.abs(u - mean) / deviation;
  // Abramowitz and Stegun 7.1.26 for the complementary error function.
  const t = 1 / (1 + 0.3275911 * (z / Math.SQRT2));
  const polynomial =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return polynomial * Math.exp(-(z * z) / 2);
}

/** The first `budget` are refused as wrong, all later ones as too many. */
function tooManyFrom(setup: Setup, send: (site: Site, nth: number) => Promise<WireAnswer>, n: number): Story {
  return async (row, rig) => {
    const site = await siteFor(row, rig, setup);
    const from = Number(row.expect['status_429_from']);
    const numbers = Array.from({ length: n }, (_, i) => i + 1);
    const statusesOf = async (some: readonly number[]): Promise<readonly number[]> => {
      const statuses: number[] = [];
      await inParallel(some, async (nth) => void statuses.push((await send(site, nth)).status));
      return statuses;
    };
    assert.deepEqual(new Set(await statusesOf(numbers.slice(0, from - 1))), new Set([401]));
    assert.deepEqual(new Set(await statusesOf(numbers.slice(from - 1))), new Set([429]));
  };
}

const perAddress = { 'throttle.address': '20' } as const;

export const signInStories: Readonly<Record<string, Story>> = {
  'LG-013': async (row, rig) => {
    const site = await siteFor(row, rig, { basic: true, 'throttle.account': '10' });
    const form = async (): Promise<number> =>
      (await attempt(site, { ...wrong('alice'), provider: 'corp' })).status;
    for (let i = 0; i < 5; i++) assert.equal(await form(), 401);
    for (let i = 0; i < 5; i++) {
      // A password that failed a moment ago is not tried again, so each is another one.
      const pair = Buffer.from(`alice:wrong-${i}`).toString('base64');
      const head = `GET /any/x HTTP/1.1\r\nHost: ${hosts.app}\r\nAuthorization: Basic ${pair}\r\n\r\n`;
      const { answers } = await converse({ port: site.gateway.port, bytes: Buffer.from(head) });
      assert.equal(answers[0]?.status, 401);
    }
    assert.equal(await form(), row.expect['statuses_last']);
  },

  'LG-001': pair('nobody', 'alice'),
  'LG-004': pair('dis', 'nobody'),
  'LG-018': pair('alice', 'nobody', { failures: 12 }),

  'LG-002': measuredAgain(timing({ provider: 'local' }, {})),
  'LG-003': measuredAgain(timing({ provider: 'corp' }, { directory: 'adds 20 ms per operation' })),

  'LG-005': async (row, rig) => {
    const site = await siteFor(row, rig, { 'throttle.account': '10' });
    const from = (nth: number) => ({ localAddress: `127.1.0.${nth}` });
    await inParallel(Array.from({ length: 10 }), async (_, i) => {
      assert.equal((await attempt(site, wrong('alice'), from(i + 1))).status, 401);
    });
    const last = await attempt(site, wrong('alice'), from(11));
    assert.equal(last.status, row.expect['statuses_last']);
    for (const name of row.expect['header_present'] as string[]) {
      assert.notEqual(headerValues(last, name).length, 0, name);
    }
  },

  'LG-007': tooManyFrom(
    perAddress,
    async (site, nth) => await attempt(site, { username: `user${nth}`, password: 'Spring2026' }),
    100,
  ),

  'LG-008': async (row, rig) => {
    const site = await siteFor(row, rig, {});
    const tookMs: number[] = [];
    let falseAllows = 0;
    await Promise.all([
      inParallel(
        Array.from({ length: 200 }),
        async (_, i) => {
          const typed = { username: `user${i}`, password: 'Spring2026' };
          const { status } = await attempt(site, typed, { localAddress: `127.3.0.${i + 1}` });
          // Beyond what can be checked at once the answer is 503.
          if (status !== 401 && status !== 503) falseAllows++;
        },
        200,
      ),
      inParallel(
        Array.from({ length: 20 }),
        async () => {
          const startedAt = performance.now();
          assert.equal((await attempt(site, { username: 'bob', password: 'right' })).status, 303);
          tookMs.push(performance.now() - startedAt);
        },
        2,
      ),
    ]);
    assert.equal(falseAllows, row.expect['false_allow']);
    const p95Ms = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.95)] ?? 0;
    assert.ok(p95Ms <= onThisMachine(Number(row.expect['legit_login_p95_ms_max'])), `${p95Ms} ms`);
  },

  'LG-009': async (row, rig) => {
    const site = await siteFor(row, rig, { 'throttle.account': '10' });
    const names = ['alice', 'ALICE', 'alice@example.test', 'EXAMPLE\\alice', ' alice '];
    for (const username of [...names, ...names]) {
      assert.equal((await attempt(site, { ...wrong(username), provider: 'corp' })).status, 401, username);
    }
    const last = await attempt(site, { ...wrong('alice'), provider: 'corp' });
    assert.equal(last.status, row.expect['statuses_last']);
  },

  'LG-010': tooManyFrom(
    perAddress,
    async (site, nth) =>
      await attempt(
        site,
        { username: `nobody${nth}`, password: 'x' },
        { headers: [`X-Forwarded-For: 10.9.8.${nth}`] },
      ),
    25,
  ),

  // A trusted proxy says where the requests come from: one customer's network.
  'LG-011': tooManyFrom(
    { ...perAddress, trustedProxies: ['127.0.0.1/32'] },
    async (site, nth) =>
      await attempt(
        site,
        { username: `nobody${nth}`, password: 'x' },
        { headers: [`X-Forwarded-For: 2001:db8:1:2::${nth.toString(16)}`] },
      ),
    100,
  ),

  'LG-012': async (row, rig) => {
    const most = Number(row.expect['directory_binds_for_alice_max']);
    // Below the threshold of the directory: that is what the option is for.
    const site = await siteFor(row, rig, { 'throttle.account': String(most) });
    const { slapd } = await rig.servers();
    await slapd.clearOperations();
    await inParallel(Array.from({ length: 50 }), async (_, i) => {
      await attempt(site, { username: 'alice', password: `wrong-${i}`, provider: 'corp' });
    });
    const binds = (await slapd.operations()).filter(
      ({ kind, dn }) => kind === 'bind' && dn.includes('uid=alice'),
    );
    assert.ok(binds.length > 0 && binds.length <= most, `${binds.length} binds`);
  },
};

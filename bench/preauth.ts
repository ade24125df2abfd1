/**
 * Links into mailboxes: what one costs a worker, from the person to the finished address, keys of three domains, ten
 * thousand people. The rate is by CPU time of this thread, so that a busy machine neither helps nor harms.
 */
import { createHmac } from 'node:crypto';
import { compileTemplate } from '#src/headers/template.ts';
import { systemClock } from '#src/lib/clock.ts';
import { zimbraOptions } from '#src/preauth/options.ts';
import { type Opening, Zimbra } from '#src/preauth/zimbra.ts';
import { principalOf } from '#test/support/principals.ts';
import { printConditions, report } from './harness/report.ts';

const mints = 100_000;
const people = 10_000;
const leastPerSecond = 20_000;
const domains = ['one.example', 'two.example', 'three.example'] as const;
const digits = (n: number): string => String(n).repeat(64);

export async function run(): Promise<boolean> {
  const email = compileTemplate('${email}', { groups: () => [] });
  await using zimbra = new Zimbra({
    options: zimbraOptions.parse({
      name: 'mail',
      url: 'https://mail.example.com',
      domains: Object.fromEntries(domains.map((name, i) => [name, { preauthKey: digits(i + 1) }])),
      expires: '8h',
      healthInterval: 0,
    }),
    accountOf: (principal) => String(email(principal)),
    clock: systemClock,
    onProbed: () => {},
  });
  const principals = Array.from({ length: people }, (_, i) =>
    principalOf({ username: `person${i}`, email: `person${i}@${domains[i % domains.length]}` }),
  );
  const query = new URLSearchParams('app=mail&view=compose');
  const mint = (i: number): Opening => {
    const opening = zimbra.open(principals[i % people] as (typeof principals)[number], {
      isAdmin: false,
      query,
    });
    if (opening instanceof Promise || opening.kind !== 'redirect') throw new Error('no link was made');
    return opening;
  };
  for (let i = 0; i < 20_000; i++) mint(i);
  if (!isSound(mint(0), digits(1))) throw new Error('the link is not signed as Zimbra checks it');

  const each = new Float64Array(mints);
  const cpu = process.threadCpuUsage();
  for (let i = 0; i < mints; i++) {
    const startedAt = performance.now();
    mint(i);
    each[i] = performance.now() - startedAt;
  }
  const { user, system } = process.threadCpuUsage(cpu);
  const meanUs = (user + system) / mints;
  each.sort();
  const at = (share: number): number => each[Math.floor(mints * share)] as number;
  return [
    report({
      name: 'a link into a mailbox, CPU time',
      value: meanUs,
      limit: 1_000_000 / leastPerSecond,
      unit: 'µs',
      detail: `${Math.round(1_000_000 / meanUs)} a second and worker, at least ${leastPerSecond}; ${mints} links`,
    }),
    report({
      name: 'the same, 99th percentile',
      value: at(0.99),
      limit: 1,
      unit: 'ms',
      detail: `by the clock, since CPU time comes in ticks; median ${at(0.5).toFixed(4)} ms, longest ${at(1 - 1 / mints).toFixed(2)} ms`,
    }),
  ].every(Boolean);
}

/** What is measured must be worth something: the signature is made once more, by hand. */
function isSound(opening: Opening, key: string): boolean {
  if (opening.kind !== 'redirect') return false;
  const { searchParams: sent } = new URL(opening.location);
  const message = ['account', 'by', 'expires', 'timestamp'].map((name) => sent.get(name)).join('|');
  return createHmac('sha1', key).update(message).digest('hex') === sent.get('preauth');
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}

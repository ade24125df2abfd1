import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type AttackRow, attackClasses, readAttackRows } from './attack-rows.ts';
import { backupStories } from './backup-stories.ts';
import { runConfigRow } from './config-rows.ts';
import { asContractSays } from './differences.ts';
import { directoryStories } from './directory-stories.ts';
import { runEncodeRow } from './encode-rows.ts';
import { runHttpRow, runRawRow } from './exchange-rows.ts';
import { expectAll } from './expectations.ts';
import { kerberosExchange, kerberosStories } from './kerberos-stories.ts';
import { loadStories } from './load-stories.ts';
import {
  runInjectionList,
  runLoginList,
  runLoginRow,
  runRedirectList,
  runRedirectRow,
} from './login-rows.ts';
import { mailboxStories } from './mailbox-stories.ts';
import { notRun } from './not-run.ts';
import { Rig } from './rig.ts';
import { sessionStories } from './session-stories.ts';
import { type Story, signInStories } from './sign-in-stories.ts';
import { tlsStories } from './tls-stories.ts';
import { webSocketStories } from './web-socket-stories.ts';

const leastRows = 330;

/** Rows of one exchange or one sign-in, by kind. */
const kinds: Readonly<Record<string, Story>> = {
  http: async (row, rig) => await expectAll(row.expect, await runHttpRow(row, rig)),
  raw: async (row, rig) => await expectAll(row.expect, await runRawRow(row, rig)),
  login: async (row, rig) => await expectAll(row.expect, await runLoginRow(row, rig)),
  redirect: async (row, rig) => await expectAll(row.expect, await runRedirectRow(row, rig)),
  'redirect-list': runRedirectList,
  'login-list': runLoginList,
  encode: runEncodeRow,
  config: runConfigRow,
};

/** Rows that need a course of their own, by id. */
const stories: Readonly<Record<string, Story>> = {
  ...signInStories,
  ...directoryStories,
  ...sessionStories,
  ...backupStories,
  ...loadStories,
  ...tlsStories,
  ...kerberosStories,
  ...mailboxStories,
  ...webSocketStories,
};

/**
 * Rows that mostly wait, on gateways and directories of their own; each group runs at once, and what one of them
 * measures the others of its group do not disturb.
 */
const waitingTogether: readonly (readonly string[])[] = [
  ['LG-009', 'LG-013', 'LG-001', 'LG-004', 'LG-005', 'LG-007', 'LG-010', 'LG-011', 'LG-018'],
  ['LD-017', 'LD-018', 'LD-019', 'LD-021', 'LD-022', 'LD-024', 'LD-028', 'LD-038', 'LD-039', 'LD-040'],
  ['LD-013', 'LD-041', 'LD-042', 'LD-045', 'LD-048', 'SE-024', 'FA-019'],
  ['DS-014', 'DS-015'],
  ['DS-001', 'DS-002', 'DS-018'],
  ['DS-003', 'LG-003'],
];

const rig = new Rig();
after(async () => await rig[Symbol.asyncDispose]());

const rows = readAttackRows().map(asContractSays);
const passed = new Map<string, number>(attackClasses.map((name) => [name, 0]));
const failed: string[] = [];

const storyOf = (row: AttackRow): Story | undefined =>
  stories[row.id] ?? (row.class === 'kerberos' ? kerberosExchange : kinds[row.input.kind]);

async function run(row: AttackRow): Promise<void> {
  const story = storyOf(row);
  assert.ok(story !== undefined, `nothing runs rows of kind ${row.input.kind}`);
  try {
    await story(row, rig);
  } catch (error) {
    failed.push(row.id);
    throw error;
  }
  passed.set(row.class, (passed.get(row.class) ?? 0) + 1);
}

const running = rows.filter(({ id }) => notRun[id] === undefined);
const isWaiting = ({ id }: AttackRow): boolean => waitingTogether.some((group) => group.includes(id));

for (const name of attackClasses) {
  describe(name, () => {
    for (const row of running.filter((each) => each.class === name && !isWaiting(each))) {
      test(`${row.id} ${row.title}`, async () => await run(row));
    }
  });
}

for (const group of waitingTogether) {
  describe(`${group.join(', ')}, side by side`, { concurrency: 4 }, () => {
    for (const row of running.filter(({ id }) => group.includes(id))) {
      test(`${row.id} ${row.title}`, async () => await run(row));
    }
  });
}

test('no line of the list of header injections puts a header into an answer', async () => {
  await runInjectionList(rig);
});

describe('the report', () => {
  test('every row that does not run is one of the corpus, with one of two reasons', () => {
    const known = new Set(rows.map(({ id }) => id));
    for (const [id, { reason, note }] of Object.entries(notRun)) {
      assert.ok(known.has(id), `${id} is no row`);
      assert.match(reason, /^(a feature of a later version|a mechanism this architecture does not have)$/);
      assert.notEqual(note, '');
    }
  });

  test(`at least ${leastRows} rows ran and none failed`, (t) => {
    let total = 0;
    for (const name of attackClasses) {
      const of = rows.filter((row) => row.class === name).length;
      const count = passed.get(name) ?? 0;
      total += count;
      t.diagnostic(`${name}: ${count} of ${of} rows passed`);
    }
    t.diagnostic(`together: ${total} of ${rows.length}; not run: ${Object.keys(notRun).length}`);
    assert.deepEqual(failed, []);
    assert.equal(total + Object.keys(notRun).length, rows.length);
    assert.ok(total >= leastRows);
  });
});

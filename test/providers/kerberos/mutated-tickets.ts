/**
 * Real tickets, changed: whatever is done to them, the library does not crash and never answers with somebody else.
 * Run shortly by the tests and at length by `npm run fuzz:kerberos`; the seed makes a run repeatable.
 */
import assert from 'node:assert/strict';
import { HelperJudge } from '#src/providers/kerberos/helper-judge.ts';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { collectLog } from '#test/support/log-lines.ts';
import { base64, negotiationToken } from './built-tokens.ts';
import { type ChangeKind, mutate } from './token-properties.ts';

const service = 'HTTP/gw.localhost';
const people = ['alice', 'bob'] as const;
const kinds: readonly ChangeKind[] = ['flip', 'set', 'cut', 'insert', 'splice'];
const atOnce = 32;

export interface MutationReport {
  readonly tokens: number;
  readonly accepted: number;
  /** Refusals by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

interface Original {
  readonly person: string;
  readonly bytes: Buffer;
}

/** Throws AssertionError with the token that showed a fault. */
export async function checkMutatedTickets(count: number, seed: number): Promise<MutationReport> {
  await using kdc = await startKdc({ people });
  const log = collectLog();
  const settings = { keytab: kdc.keytab, replayFile: undefined };
  await using judge = new HelperJudge({
    settings,
    logger: log.logger,
    // No replacement in between: what ends the process must not be hidden by it.
    limits: {
      maxRefusals: Number.POSITIVE_INFINITY,
      maxRssBytes: Number.POSITIVE_INFINITY,
      startTimeoutMs: 30_000,
    },
  });
  const originals = await collectOriginals(kdc);
  const next = randomNumbers(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[next() % items.length] as Item;
  const refused: Record<string, number> = {};
  let accepted = 0;
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0) {
      const [one, other] = [pick(originals), pick(originals)];
      let bytes = one.bytes;
      for (let change = next() % 3; change >= 0; change--) {
        bytes = mutate(bytes, other.bytes, next(), pick(kinds), next() % 256);
      }
      const token = base64(bytes);
      const verdict = await judge.judge(token, AbortSignal.timeout(120_000));
      if (verdict.kind === 'unable') assert.fail(`${verdict.obstacle} ${verdict.detail} for ${token}`);
      if (verdict.kind === 'refused') {
        refused[verdict.reason] = (refused[verdict.reason] ?? 0) + 1;
        continue;
      }
      accepted++;
      // Half of one token and half of another may be a whole: then it is the whole one's person.
      const owners = [one, other].map(({ person }) => `${person}@TEST.LOCAL`);
      assert.ok(owners.includes(verdict.principal), `${verdict.principal} for ${token}`);
      assert.ok(isWhole(bytes, originals, verdict.principal), `${verdict.principal} for ${token}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  assert.deepEqual(log.of('kerberos-helper-ended'), [], 'no helper ended');
  return { tokens: count, accepted, refused };
}

/** Whether the sealed part of a ticket of that very person stands in the token. */
function isWhole(bytes: Buffer, originals: readonly Original[], principal: string): boolean {
  return originals.some(
    (original) => `${original.person}@TEST.LOCAL` === principal && bytes.includes(sealedPart(original.bytes)),
  );
}

/** From the middle of the ticket, where only its cipher is. */
function sealedPart(bytes: Buffer): Buffer {
  return bytes.subarray(250, 350);
}

async function collectOriginals(kdc: Kdc): Promise<readonly Original[]> {
  const originals: Original[] = [];
  for (const person of people) {
    const bare = Buffer.from(await kdc.token(person, service, { mechanism: 'krb5' }), 'base64');
    const plain = Buffer.from(await kdc.token(person, service), 'base64');
    const mutual = Buffer.from(await kdc.token(person, service, { isMutual: true }), 'base64');
    const windows = negotiationToken(['krb5Microsoft', 'krb5', 'negoex', 'ntlm'], bare);
    for (const bytes of [bare, plain, mutual, windows]) originals.push({ person, bytes });
  }
  return originals;
}

/** Small and repeatable (mulberry32); nothing here needs to be unpredictable. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

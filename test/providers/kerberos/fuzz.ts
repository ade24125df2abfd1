/**
 * `npm run fuzz:kerberos`: 300,000 tokens for the inspection and 50,000 changed tickets for the library, both from fixed
 * seeds. `npm run fuzz:kerberos -- 7` takes another seed. Ends with 1 when something is found.
 */
import { checkMutatedTickets } from './mutated-tickets.ts';
import { checkAnything, checkMutations } from './token-properties.ts';

const seed = Number(process.argv[2] ?? 20_261_121);
const inspected = 300_000;
const changed = 50_000;

const startedAt = performance.now();
const said = (what: string): void =>
  console.log(`${what}, ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);

checkAnything({ seed, numRuns: inspected / 6 });
checkMutations({ seed, numRuns: (inspected * 2) / 3 });
said(`${inspected} tokens inspected (seed ${seed})`);
const { tokens, accepted, refused } = await checkMutatedTickets(changed, seed);
said(`${tokens} changed tickets judged: ${accepted} accepted as who they are, ${JSON.stringify(refused)}`);

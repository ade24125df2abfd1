/**
 * Long attributes arrive in pieces (MS-ADTS section 3.1.1.3.1.3.3): `member;range=0-1499` instead of `member`, which
 * is then empty. Puts the pieces together, so that nobody else has to know and no group is lost.
 */
import type { SearchRequest } from './connection.ts';
import type { LdapEntry } from './entry.ts';
import { LdapFailure } from './failures.ts';
import { isPresent } from './filter.ts';

type Values = LdapEntry[string];

/** Far beyond any directory; a server that always has more to say is not believed. */
const maxValues = 200_000;

const pieceName = /^([^;]+(?:;[^;]+)*);range=(\d+)-(\d+|\*)$/i;

/** Entries without pieces, which are nearly all, are returned as they are. Throws LdapFailure. */
export async function withWholeAttributes(
  entries: LdapEntry[],
  search: (request: SearchRequest) => Promise<LdapEntry[]>,
): Promise<LdapEntry[]> {
  if (!entries.some(hasPieces)) return entries;
  return await Promise.all(
    entries.map(async (entry) => (hasPieces(entry) ? await withoutPieces(entry, search) : entry)),
  );
}

function hasPieces(entry: LdapEntry): boolean {
  for (const name in entry) if (name.includes(';range=')) return true;
  return false;
}

async function withoutPieces(
  entry: LdapEntry,
  search: (request: SearchRequest) => Promise<LdapEntry[]>,
): Promise<LdapEntry> {
  const whole: Record<string, Values> & { dn: string } = { ...entry };
  for (const name of Object.keys(entry)) {
    const match = pieceName.exec(name);
    if (match === null) continue;
    const [, attribute = '', start = '', end = ''] = match;
    delete whole[name];
    if (start !== '0') continue;
    whole[attribute] = await fetchOn(entry, attribute, end, toList(entry[name]), search);
  }
  return whole;
}

async function fetchOn(
  { dn }: LdapEntry,
  attribute: string,
  firstEnd: string,
  values: (string | Buffer)[],
  search: (request: SearchRequest) => Promise<LdapEntry[]>,
): Promise<Values> {
  let end = firstEnd;
  while (end !== '*') {
    const start = Number(end) + 1;
    const [entry] = await search({
      baseDn: dn,
      scope: 'base',
      filter: isPresent('objectClass'),
      attributes: [`${attribute};range=${start}-*`],
      sizeLimit: 1,
    });
    const next = nextPiece(entry, attribute, start);
    if (next === undefined || values.length > maxValues) {
      throw new LdapFailure(`the values of ${attribute} behind the first ${start} cannot be read`, {
        kind: 'protocol',
        stage: 'operation',
      });
    }
    values.push(...next.values);
    end = next.end;
  }
  return values as string[] | Buffer[];
}

function nextPiece(
  entry: LdapEntry | undefined,
  attribute: string,
  start: number,
): { values: (string | Buffer)[]; end: string } | undefined {
  for (const name in entry) {
    const match = pieceName.exec(name);
    if (match?.[1]?.toLowerCase() !== attribute.toLowerCase() || Number(match[2]) !== start) continue;
    const values = toList(entry[name]);
    const end = match[3] as string;
    // The name that was asked for is there as well, empty.
    if (values.length > 0 && (end === '*' || Number(end) >= start)) return { values, end };
  }
  return undefined;
}

function toList(values: Values | undefined): (string | Buffer)[] {
  if (values === undefined) return [];
  return Array.isArray(values) ? [...values] : [values];
}

/** Probes that look at a request as the application behind the front proxy received it. */
import { foldHeaderName } from '../../headers/strip.ts';
import { asJson, type EchoedHead, parseEcho } from './echo.ts';
import { type Finding, failedIf, notTried, type Probe, type ProbedSite } from './finding.ts';
import type { Field } from './probe-client.ts';

/** Documentation network, RFC 5737: nobody's address. */
export const forgedAddress = '203.0.113.77';
const forged = 'vratar-doctor-forged';

interface Look {
  readonly where: string;
  readonly head: EchoedHead;
}

/** Sends claims from every position that reaches the application: signed in, and anonymous on an open page. */
async function look(site: ProbedSite, claims: readonly Field[]): Promise<readonly Look[] | string> {
  const { client, page, publicPage, person, whyNobody } = site;
  const positions = [
    ...(person === undefined ? [] : [{ page, cookie: person.cookie, where: `signed in at ${page}` }]),
    ...(publicPage === undefined
      ? []
      : [{ page: publicPage, cookie: '', where: `anonymous at ${publicPage}` }]),
  ];
  if (positions.length === 0) return `${whyNobody}, and no open page is known (--public PATH)`;
  const looks: Look[] = [];
  for (const { page: target, cookie, where } of positions) {
    const headers: readonly Field[] = [
      asJson,
      ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
      ...claims,
    ];
    const answer = await client.ask(target, { headers });
    const head = parseEcho(answer);
    if (head !== undefined) looks.push({ where, head });
    else if (positions.length === 1)
      return `${target} is not answered by a whoami page (${answer.status}): start with --echo ADDRESS as the application`;
  }
  return looks.length === 0 ? 'no whoami page answers: start with --echo ADDRESS as the application' : looks;
}

async function compare(
  site: ProbedSite,
  claims: readonly Field[],
  judge: (look: Look) => readonly Field[],
): Promise<Finding> {
  const looks = await look(site, claims);
  if (typeof looks === 'string') return notTried(looks);
  const details = looks.flatMap((seen) =>
    judge(seen).map(([name, value]) => `${seen.where}: the application received ${name}: ${value}`),
  );
  const headers = looks.flatMap((seen) => judge(seen).map(([name]) => name));
  return failedIf([...new Set(details)], [...new Set(headers)]);
}

const withForged = ({ head }: Look): readonly Field[] =>
  head.fields.filter(([, value]) => value.includes(forged));

async function findForgedIdentity(site: ProbedSite): Promise<Finding> {
  const claims = site.identityHeaders.map((name): Field => [name, `${forged}-${name.toLowerCase()}`]);
  return await compare(site, claims, withForged);
}

/** One separator at a time: servers fold `_`, `.` and others to the same variable as `-`. */
async function findTwins(site: ProbedSite): Promise<Finding> {
  const claims = ['_', '.', '~'].flatMap((separator) =>
    site.identityHeaders.map((name): Field => [name.replaceAll('-', separator), forged]),
  );
  return await compare(site, claims, withForged);
}

async function findIdentity(site: ProbedSite): Promise<Finding> {
  const { person, whyNobody, identityHeaders } = site;
  if (person === undefined) return notTried(whyNobody);
  const looks = await look({ ...site, publicPage: undefined }, []);
  if (typeof looks === 'string') return notTried(looks);
  const [userHeader = 'Remote-User'] = identityHeaders;
  const folded = foldHeaderName(userHeader);
  return failedIf(
    looks.flatMap(({ where, head }) => {
      const values = head.fields
        .filter(([name]) => foldHeaderName(name) === folded)
        .map(([, value]) => value);
      return values.length === 1 && values[0] !== ''
        ? []
        : [`${where}: the application received ${userHeader} ${values.length} times: ${values.join(', ')}`];
    }),
    [userHeader],
  );
}

async function findTicket(site: ProbedSite): Promise<Finding> {
  const { cookieName, person } = site;
  const planted =
    person === undefined ? [`${cookieName}=forged`, `__Host-${cookieName}=forged`].join('; ') : '';
  const claims: readonly Field[] = planted === '' ? [] : [['Cookie', planted]];
  const own = new RegExp(`(?:^|; )(?:__Host-)?${cookieName.replaceAll(/[^\w-]/g, '\\$&')}(?:-[a-z]+)?=`);
  return await compare(site, claims, ({ head }) =>
    head.fields.filter(([name, value]) => name.toLowerCase() === 'cookie' && own.test(value)),
  );
}

/** Fields that describe a request: each forged by the client, seen at the application. */
export async function receivedClaims(site: ProbedSite, claims: readonly Field[]): Promise<Finding> {
  const values = claims.map(([, value]) => value);
  return await compare(site, claims, ({ head }) =>
    head.fields.filter(([, value]) => values.some((claimed) => value.includes(claimed))),
  );
}

export const receivedProbes: readonly Probe[] = [
  { name: 'identity', title: 'the application learns who is signed in', run: findIdentity },
  {
    name: 'forged-identity',
    title: 'identity headers of a client never reach the application',
    run: findForgedIdentity,
  },
  { name: 'twins', title: 'neither do their twins: Remote_User, Remote.User', run: findTwins },
  { name: 'ticket', title: 'the session ticket stays with the gateway', run: findTicket },
];

/**
 * Probes that find out what the front proxy puts into the question to the gateway, which nobody outside can see. They
 * use its limit for the size of a request head: with cookies the question is filled up to the last byte that the gateway
 * still takes; a header that then makes it refuse has reached it.
 */
import { type Finding, failedIf, notTried, type Probe, type ProbedSite } from './finding.ts';
import type { Field, ProbeRequest } from './probe-client.ts';
import { forgedAddress, receivedClaims } from './received-probes.ts';
import { script } from './refusal-probes.ts';

/** Fits into one buffer of every front proxy's default. */
const maxCookieBytes = 6_000;
/** More than any limit the gateway has had. */
const maxFillingBytes = 160_000;

type Verdict = 'taken' | 'refused by the gateway' | 'refused by the front proxy';

async function send(site: ProbedSite, filling: number, extra: ProbeRequest = {}): Promise<Verdict> {
  const cookies: Field[] = [];
  for (let left = filling; left > 0; left -= maxCookieBytes)
    cookies.push(['Cookie', `d=${'x'.repeat(Math.min(left, maxCookieBytes))}`]);
  const headers = [...script, ...cookies, ...(extra.headers ?? [])];
  const { status } = await site.client.ask(site.page, { ...extra, headers });
  // nginx makes an error of its own of an answer 431 to its question; others hand it on.
  if (status === 431 || status >= 500) return 'refused by the gateway';
  return status === 400 || status === 413 || status === 414 ? 'refused by the front proxy' : 'taken';
}

/** The largest filling the gateway takes; `undefined` when the limit does not show. */
async function measure(site: ProbedSite): Promise<number | undefined> {
  let taken = 0;
  let refused = 8_000;
  if ((await send(site, 0)) !== 'taken') return undefined;
  for (;;) {
    const verdict = await send(site, refused);
    if (verdict === 'refused by the front proxy') return undefined;
    if (verdict === 'refused by the gateway') break;
    taken = refused;
    refused *= 2;
    if (refused > maxFillingBytes) return undefined;
  }
  while (refused - taken > 1) {
    const middle = Math.floor((taken + refused) / 2);
    if ((await send(site, middle)) === 'taken') taken = middle;
    else refused = middle;
  }
  // Connection ends at the first server (RFC 9110 section 7.6.1). Where it counts, the limit is that server's own: the
  // gateway itself is asked, and there is no question.
  const hop: Field = ['Connection', 'close, vratar-doctor-hop'];
  return (await makesRefuse(site, taken, { headers: [hop] })) ? undefined : taken;
}

/** Asked twice with the plain question between: a front proxy that adds fields of changing length must not mislead. */
async function makesRefuse(site: ProbedSite, filling: number, extra: ProbeRequest): Promise<boolean> {
  if ((await send(site, filling, extra)) !== 'refused by the gateway') return false;
  if ((await send(site, filling)) !== 'taken') return false;
  return (await send(site, filling, extra)) === 'refused by the gateway';
}

const limitHidden =
  'no question shows: the limit for request heads is not the gateway’s behind a front proxy';

/** Which of the claims reach the gateway. */
async function reaching(site: ProbedSite, claims: readonly Field[]): Promise<readonly Field[] | undefined> {
  const filling = await measure(site);
  if (filling === undefined) return undefined;
  const arrived: Field[] = [];
  for (const claim of claims) if (await makesRefuse(site, filling, { headers: [claim] })) arrived.push(claim);
  return arrived;
}

async function findClaims(site: ProbedSite, claims: readonly Field[]): Promise<Finding> {
  const received = await receivedClaims(site, claims);
  const arrived = await reaching(site, claims);
  if (received.outcome === 'not-tried' && arrived === undefined) return received;
  if (received.outcome === 'ok' && arrived === undefined)
    return { outcome: 'ok', note: 'at the application' };
  const seen = received.outcome === 'failed' ? received : { details: [], headers: [] };
  const asked = arrived ?? [];
  return failedIf(
    [...seen.details, ...asked.map(([name]) => `the gateway is told the ${name} that the client made up`)],
    [...new Set([...(seen.headers ?? []), ...asked.map(([name]) => name)])],
  );
}

async function findForwardedFor(site: ProbedSite): Promise<Finding> {
  return await findClaims(site, [
    ['X-Forwarded-For', forgedAddress],
    ['Forwarded', `for=${forgedAddress}`],
  ]);
}

async function findForgedAddress(site: ProbedSite): Promise<Finding> {
  return await findClaims(site, [
    ['X-Original-URL', 'https://vratar-doctor.invalid/forged'],
    ['X-Original-URI', '/vratar-doctor-forged'],
    ['X-Forwarded-Uri', '/vratar-doctor-forged'],
    ['X-Forwarded-Host', 'vratar-doctor.invalid'],
  ]);
}

async function findBody(site: ProbedSite): Promise<Finding> {
  const filling = await measure(site);
  if (filling === undefined) return notTried(limitHidden);
  // PUT has as many letters as GET: nothing but the framing of the body can make the question longer.
  const isLonger = await makesRefuse(site, filling, { method: 'PUT', body: 'x'.repeat(1_000) });
  return failedIf(
    isLonger
      ? [
          'the question announces a body (Content-Length) that it does not carry: the gateway must end the connection each time',
        ]
      : [],
  );
}

export const questionProbes: readonly Probe[] = [
  {
    name: 'forwarded-for',
    title: 'nobody believes the address that a client claims to have',
    run: findForwardedFor,
  },
  {
    name: 'forged-address',
    title: 'nobody believes the page that a client claims to ask for',
    run: findForgedAddress,
  },
  { name: 'body', title: 'a body goes to the application alone', run: findBody },
];

/** Probes that need no application to answer: how the gateway's refusals come through, and what is asked at all. */
import { parseEcho } from './echo.ts';
import { type Finding, failedIf, notTried, ok, type Probe, type ProbedSite } from './finding.ts';
import type { Field, ProbeAnswer } from './probe-client.ts';

export const script: readonly Field[] = [
  ['Accept', 'application/json'],
  ['Sec-Fetch-Mode', 'cors'],
];
export const navigation: readonly Field[] = [
  ['Accept', 'text/html'],
  ['Sec-Fetch-Mode', 'navigate'],
];

/** Where a refusal leads to, told to a person by Location and to a script by JSON. */
function signInOf(answer: ProbeAnswer, { client, portalPath }: ProbedSite): URL | undefined {
  const [location] = answer.values('location');
  const told = location ?? /"signIn":"([^"]+)"/.exec(answer.body)?.[1];
  if (told === undefined || !URL.canParse(told, client.base.href)) return undefined;
  const url = new URL(told, client.base);
  return url.pathname === `${portalPath}/login` ? url : undefined;
}

/** The application, or a file of the front proxy, was reached without anybody having asked. */
function wasServed(answer: ProbeAnswer, site: ProbedSite): boolean {
  const { status } = answer;
  if (parseEcho(answer) !== undefined) return true;
  if (status >= 200 && status < 300) return true;
  if (status === 404 || status === 410) return true;
  return status >= 300 && status < 400 && signInOf(answer, site) === undefined;
}

async function findSignInPage({ client, portalPath }: ProbedSite): Promise<Finding> {
  const answer = await client.ask(`${portalPath}/login`, { headers: navigation });
  if (answer.status === 200 && /<form|href="[^"]*\/providers\//.test(answer.body)) return ok;
  return failedIf([`${portalPath}/login answers ${answer.status} without the sign-in page`]);
}

/** A worthless session cookie makes the sign-in page set two cookies at once: it clears one and sets another. */
async function findCookieRelay({ client, portalPath, cookieName }: ProbedSite): Promise<Finding> {
  const sent = ['', '__Host-'].map((prefix) => `${prefix}${cookieName}=vratar-doctor`).join('; ');
  const answer = await client.ask(`${portalPath}/login`, { headers: [...navigation, ['Cookie', sent]] });
  const names = answer.values('set-cookie').map((line) => line.slice(0, line.indexOf('=')));
  const isSet = (suffix: string): boolean =>
    names.some((name) => name.replace(/^__Host-/, '') === cookieName + suffix);
  return failedIf([
    ...(isSet('-csrf') ? [] : ['the cookie of the sign-in form does not arrive: no sign-in can work']),
    ...(isSet('')
      ? []
      : ['of two cookies set at once one does not arrive: a session may not be renewed or ended']),
  ]);
}

async function findScript(site: ProbedSite): Promise<Finding> {
  const answer = await site.client.ask(site.page, { headers: script });
  if (answer.status === 401) return ok;
  if (wasServed(answer, site)) return failedIf([`${site.page} is served to anybody (${answer.status})`]);
  return failedIf([`a script gets ${answer.status} where 401 tells it that the session ended`]);
}

async function findNavigation(site: ProbedSite): Promise<Finding> {
  const details: string[] = [];
  for (const [method, status] of [
    ['GET', 302],
    ['POST', 303],
  ] as const) {
    const answer = await site.client.ask(site.page, { method, headers: navigation });
    if (answer.status === status && signInOf(answer, site) !== undefined) continue;
    const isInside = answer.status >= 500;
    details.push(
      isInside
        ? `${method} by a person gets ${answer.status}: a redirect inside the question is an error to the front proxy, or the gateway is away`
        : `${method} by a person gets ${answer.status} and not ${status} to the sign-in page`,
    );
  }
  return failedIf(details);
}

/** The way back after the sign-in repeats the address as the gateway was told it, letter by letter. */
async function findOriginalAddress(site: ProbedSite): Promise<Finding> {
  const details: string[] = [];
  const folder = site.page.replace(/[^/]*$/, '');
  for (const tail of ['vratar-doctor/%7Ea//b;c=1?q=%2F&r=1', 'vratar-doctor?a=1?b=//c']) {
    const target = `${folder}${tail}`;
    const answer = await site.client.ask(target, { headers: script });
    const asked = `${site.client.base.origin}${target}`;
    const told = signInOf(answer, site)?.searchParams.get('rd');
    if (told === undefined || told === null)
      return notTried(`${target} is answered ${answer.status} without the address of the sign-in`);
    if (told !== asked) details.push(`asked for ${asked}, but the gateway judged ${told}`);
  }
  return failedIf(details);
}

async function findEndpoint({ client, page, portalPath, person }: ProbedSite): Promise<Finding> {
  const details: string[] = [];
  // A whole question in every dialect's words: whoever passes it on has the gateway answer it.
  const made: readonly Field[] = [
    ['X-Original-URL', `${client.base.origin}${page}`],
    ['X-Original-Method', 'GET'],
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Proto', client.base.protocol.slice(0, -1)],
    ['X-Forwarded-Host', client.base.host],
    ['X-Forwarded-Uri', page],
    ...(person === undefined ? [] : [['Cookie', person.cookie] as const]),
  ];
  for (const dialect of ['nginx', 'traefik', 'caddy', 'haproxy', `envoy${page}`]) {
    const target = `${portalPath}/auth/${dialect}`;
    const { status, body } = await client.ask(target, { headers: [...script, ...made] });
    // "No such page" by the front proxy, or no question by the gateway: it believes the words of listed proxies only.
    const isRefused = status === 404 || (status === 403 && body.includes('"ORIGINAL_REQUEST_INVALID"'));
    if (!isRefused) details.push(`${target} answers a stranger (${status})`);
  }
  return failedIf(details);
}

async function findLocations(site: ProbedSite): Promise<Finding> {
  const details: string[] = [];
  for (const method of ['HEAD', 'POST', 'OPTIONS', 'DELETE']) {
    const answer = await site.client.ask(site.page, { method, headers: script });
    if (wasServed(answer, site))
      details.push(`${method} ${site.page} is served without a question (${answer.status})`);
  }
  for (const page of site.morePages) {
    const answer = await site.client.ask(page, { headers: script });
    if (wasServed(answer, site)) details.push(`${page} is served without a question (${answer.status})`);
  }
  return failedIf(details);
}

async function findDirect({ direct, page }: ProbedSite): Promise<Finding> {
  if (direct === undefined) return notTried('no --direct URL given');
  try {
    const { status } = await direct.ask(page, { headers: [...script, ['Remote-User', 'vratar-doctor']] });
    return failedIf([
      `${direct.base.href} answers ${status} to anybody who reaches it, with any Remote-User`,
    ]);
  } catch (error) {
    // Refused, unreachable, filtered: as it should be.
    if (error instanceof Error && 'code' in error) return ok;
    throw error;
  }
}

export const refusalProbes: readonly Probe[] = [
  { name: 'sign-in-page', title: 'the sign-in page is reached on this host', run: findSignInPage },
  { name: 'cookie-relay', title: 'every cookie of the gateway reaches the browser', run: findCookieRelay },
  { name: 'script', title: 'a script without a session gets 401', run: findScript },
  { name: 'navigation', title: 'a person without a session is led to the sign-in page', run: findNavigation },
  {
    name: 'original-address',
    title: 'the gateway judges the address as it was sent',
    run: findOriginalAddress,
  },
  { name: 'endpoint', title: 'forward-auth answers no stranger', run: findEndpoint },
  { name: 'locations', title: 'no place is served without a question', run: findLocations },
];

export const directProbe: Probe = {
  name: 'direct',
  title: 'the application is reached through the front proxy only',
  run: findDirect,
};

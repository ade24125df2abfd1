/** Signs a person in through the front proxy, by the form, as their browser would. */
import type { SignedInPerson } from './finding.ts';
import type { ProbeClient } from './probe-client.ts';

/** A sentence instead of the person when the sign-in did not work. */
export async function signIn(
  client: ProbeClient,
  portalPath: string,
  username: string,
  password: string,
): Promise<SignedInPerson | string> {
  const cookies = new Map<string, string>();
  const remember = (lines: readonly string[]): void => {
    for (const line of lines) {
      const [pair = ''] = line.split(';', 1);
      const equals = pair.indexOf('=');
      cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
  };
  const page = await client.ask(`${portalPath}/login`, { headers: [['Accept', 'text/html']] });
  remember(page.values('set-cookie'));
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1];
  if (csrf === undefined) return `the sign-in page has no form (${page.status})`;
  const cookie = (): string => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const answer = await client.ask(`${portalPath}/login`, {
    method: 'POST',
    headers: [
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['Accept', 'text/html'],
      ['Cookie', cookie()],
    ],
    body: new URLSearchParams({ csrf, username, password }).toString(),
  });
  if (answer.status !== 303) return `the sign-in of ${username} was refused (${answer.status})`;
  remember(answer.values('set-cookie'));
  return { username, cookie: cookie() };
}

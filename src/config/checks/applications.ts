/** Each host and path leads to one application, none of them hides the gateway's own pages, and what they ask for exists. */
import type { Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

export function checkApplications(readable: Readable): readonly Finding[] {
  const { applications, server, session } = readable;
  const findings: Finding[] = [...checkTickets(readable)];
  const first = new Map<string, number>();
  applications.forEach((application, index) => {
    if (application === undefined) return;
    const prefix = application.pathPrefix.replace(/\/$/, '');
    application.hosts.forEach((host, position) => {
      const route = `${host}${prefix}/`;
      const before = first.get(route);
      if (before === undefined) {
        first.set(route, index);
        return;
      }
      const path = ['applications', index, 'hosts', position];
      findings.push({
        path,
        message:
          before === index
            ? 'is written twice'
            : `host and pathPrefix ${application.pathPrefix} belong to applications[${before}] already`,
      });
    });
    const { decisionCache, keepForms, upstream, credentials } = application;
    if (keepForms && (upstream === undefined || !credentials.includes('session'))) {
      const message =
        upstream === undefined
          ? 'forms pass the gateway only where the application has an upstream'
          : 'people do not sign in here: credentials does not list session';
      findings.push({ path: ['applications', index, 'keepForms'], message });
    }
    if (session !== undefined && decisionCache !== 'off' && decisionCache > session.idleTimeout) {
      findings.push({
        path: ['applications', index, 'decisionCache'],
        message: 'is longer than session.idleTimeout: decisions would outlive their sessions',
      });
    }
    if (server !== undefined && `${prefix}/`.startsWith(`${server.portalPath}/`)) {
      findings.push({
        path: ['applications', index, 'pathPrefix'],
        message: `is never reached: ${server.portalPath} holds the gateway's own pages`,
      });
    }
  });
  return findings;
}

/** Tickets that nobody could judge, and a challenge that nobody could answer. */
function checkTickets({ applications, providers }: Readable): readonly Finding[] {
  // A provider that could not be read may be the one.
  const isJudged = providers.some((provider) => provider === undefined || provider.type === 'kerberos');
  return applications.flatMap((application, index): readonly Finding[] => {
    if (application === undefined) return [];
    const { credentials, challenge } = application;
    const position = credentials.indexOf('negotiate');
    if (position >= 0 && !isJudged) {
      const message = 'no provider takes tickets: add one of the type kerberos';
      return [{ path: ['applications', index, 'credentials', position], message }];
    }
    if (position < 0 && challenge === 'direct') {
      const message = 'asks for tickets that credentials does not list: add negotiate there';
      return [{ path: ['applications', index, 'challenge'], message }];
    }
    return [];
  });
}

/** Each host and path leads to one application, and none of them hides the gateway's own pages. */
import type { Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

export function checkApplications({ applications, server, session }: Readable): readonly Finding[] {
  const findings: Finding[] = [];
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
    const { decisionCache } = application;
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

/** The only answer of the listener in clear text: the same address over https, for hosts that are served here. */
import { parseAuthority } from './host.ts';
import type { RequestHandler } from './listener.ts';
import { parseTarget } from './target.ts';

/** `publicUrl` says which port https has. */
export function redirectToHttps(publicUrl: string, knowsHost: (host: string) => boolean): RequestHandler {
  const { port } = new URL(publicUrl);
  const suffix = port === '' ? '' : `:${port}`;
  return (request, response) => {
    const host = parseAuthority(request.headers.host ?? '')?.host;
    const target = parseTarget(request.url as string);
    const hosts = request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
    if (host === undefined || target === undefined || hosts.length !== 1) {
      response.writeHead(400, ['Connection', 'close', 'Content-Length', '0']).end();
    } else if (!knowsHost(host)) {
      // RFC 9110 section 15.5.20: nobody is led to a host that is not served here.
      response.writeHead(421, ['Connection', 'close', 'Content-Length', '0']).end();
    } else {
      const location = `https://${host}${suffix}${target.path}${target.query}`;
      // What was posted went over the wire already; it is not sent a second time by itself.
      const status = request.method === 'GET' || request.method === 'HEAD' ? 308 : 303;
      response.writeHead(status, ['Location', location, 'Content-Length', '0']).end();
    }
  };
}

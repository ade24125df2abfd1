/** Serves the sample pages and the assets over plain HTTP on a free port, and remembers what forms sent. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chooseLanguage } from '#src/portal/language.ts';
import type { PageReply } from '#src/portal/pages.ts';
import { whoamiPage } from '#src/proxy/whoami.ts';
import { assets, portalPath, samplePages, samples, signInModel } from './sample-pages.ts';

export interface SentForm {
  readonly path: string;
  readonly fields: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

export interface SampleServer extends AsyncDisposable {
  readonly origin: string;
  readonly forms: readonly SentForm[];
  /** Where a sent sign-in form is redirected; unset: the page answers 401 with its message. */
  redirectFormsTo: string | undefined;
}

/** `/sample/NAME?lang=xx`; `formTargets` is for pages at `/_vratar/login`. */
export async function startSampleServer(signInPages = samplePages): Promise<SampleServer> {
  const forms: SentForm[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://sample');
    const language = chooseLanguage({
      parameter: url.searchParams.get('lang') ?? undefined,
      acceptLanguage: request.headers['accept-language'],
    });
    const send = ({
      status,
      headers,
      body,
    }: {
      status: number;
      headers: readonly string[];
      body: Buffer | string;
    }) => response.writeHead(status, [...headers]).end(body);
    if (request.method === 'POST') {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const fields = new URLSearchParams(Buffer.concat(chunks).toString());
        forms.push({ path: url.pathname, fields, headers: request.headers });
        if (result.redirectFormsTo !== undefined) {
          response.writeHead(303, { Location: result.redirectFormsTo }).end();
          return;
        }
        const username = fields.get('username') ?? '';
        send(signInPages.signIn({ ...signInModel, username, problem: { kind: 'rejected' } }, language));
      });
      return;
    }
    const asset = assets.find(url.pathname);
    if (asset !== undefined) {
      send({ status: 200, ...asset });
    } else if (url.pathname === `${portalPath}/login`) {
      send(signInPages.signIn(signInModel, language));
    } else if (url.pathname === '/sample/whoami') {
      send(whoamiPage(whoamiSample));
    } else {
      send(samples[url.pathname.replace('/sample/', '')]?.(language) ?? notFound(language));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const result: SampleServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forms,
    redirectFormsTo: undefined,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return result;
}

function notFound(language: Parameters<typeof samplePages.error>[1]): PageReply {
  return samplePages.error({ status: 404, requestId: 'none' }, language);
}

const whoamiSample = {
  method: 'GET',
  target: '/reports/2026?sort=name&page=2',
  headers: Object.entries({
    Host: 'whoami.example.com',
    'User-Agent':
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
    Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Language': 'ru,en;q=0.8',
    Cookie: 'theme=dark; app_session=s3cret',
    'Remote-User': 'amelie.horvat',
    'Remote-Groups': 'staff,engineering,wiki-editors',
    'Remote-Name': Buffer.from('Амели Хорват').toString('latin1'),
    'Remote-Email': 'amelie.horvat@example.com',
    'X-Forwarded-For': '10.1.2.3',
  }).flat(),
  identityHeaders: ['Remote-User', 'Remote-Name', 'Remote-Email', 'Remote-Groups', 'Remote-Roles'],
};

/**
 * Traefik and Envoy are no Debian packages: these stand-ins send the gateway what Traefik 3.7 forwardAuth and Envoy
 * ext_authz send, and treat its answers as those do, driven by the shipped configuration files. What the real programs do
 * beyond that (routing, TLS, HTTP/2) is not imitated.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { parse } from 'yaml';
import type { FrontProxy, ProtectedSite } from './front-proxy.ts';

export type Field = readonly [name: string, value: string];

interface Verdict {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

interface Question {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
}

export interface Refusal {
  readonly kind: 'refuse';
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

/** Fields for the application and, beside its own, for the client. */
export interface Permission {
  readonly kind: 'pass';
  readonly application: readonly Field[];
  readonly client: readonly Field[];
}

export interface Convention {
  /** What the entry point removes and adds before anything else. */
  clean(fields: readonly Field[], peer: string): readonly Field[];
  /** `undefined`: nobody answers the question. */
  ask(
    incoming: IncomingMessage,
    fields: readonly Field[],
    peer: string,
  ): Promise<Permission | Refusal | undefined>;
  /** What the client gets then. */
  readonly unreachable: number;
}

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

function pairs(raw: readonly string[]): readonly Field[] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] as string] as const] : []));
}

export function valueOf(fields: readonly Field[], name: string): string | undefined {
  return fields.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1];
}

export function without(fields: readonly Field[], names: readonly string[]): readonly Field[] {
  const removed = new Set(names.map((name) => name.toLowerCase()));
  return fields.filter(([name]) => !removed.has(name.toLowerCase()));
}

export async function shipped<Shape>(file: string): Promise<Shape> {
  return parse(await readFile(new URL(`../../deploy/${file}`, import.meta.url), 'utf8')) as Shape;
}

interface TraefikStatic {
  readonly entryPoints: {
    readonly websecure: {
      readonly forwardedHeaders: { readonly insecure: boolean };
      readonly http: { readonly aliasHeadersStrategy: string };
    };
  };
}

interface TraefikDynamic {
  readonly http: {
    readonly middlewares: Readonly<
      Record<
        string,
        { readonly headers?: { readonly customRequestHeaders: Readonly<Record<string, string>> } }
      >
    > & {
      readonly vratar: {
        readonly forwardAuth: {
          readonly address: string;
          readonly trustForwardHeader: boolean;
          readonly authResponseHeaders: readonly string[];
          readonly addAuthCookiesToResponse: readonly string[];
          readonly forwardBody: boolean;
        };
      };
    };
    readonly routers: { readonly wiki: { readonly middlewares: readonly string[] } };
  };
}

export async function startTraefikReplay(site: ProtectedSite): Promise<FrontProxy> {
  const { entryPoints } = await shipped<TraefikStatic>('traefik/traefik.yaml');
  const { http } = await shipped<TraefikDynamic>('traefik/vratar.yaml');
  const { forwardedHeaders, http: entry } = entryPoints.websecure;
  const { forwardAuth } = http.middlewares.vratar;
  const emptied = (names: readonly string[]): readonly string[] =>
    names.flatMap((name) => Object.keys(http.middlewares[name]?.headers?.customRequestHeaders ?? {}));
  const order = http.routers.wiki.middlewares;
  const before = emptied(order.slice(0, order.indexOf('vratar')));
  const after = emptied(order.slice(order.indexOf('vratar') + 1));
  const forwarded = ['For', 'Host', 'Port', 'Proto', 'Server', 'Tls-Client-Cert', 'Tls-Client-Cert-Info'];

  return await startReplay(site, {
    clean: (fields, peer) => {
      const isAliasDropped = entry.aliasHeadersStrategy === 'delete';
      const plain = isAliasDropped ? fields.filter(([name]) => /^[A-Za-z0-9-]+$/.test(name)) : fields;
      const believed = forwardedHeaders.insecure
        ? plain
        : without(plain, ['X-Real-Ip', ...forwarded.map((name) => `X-Forwarded-${name}`)]);
      return [
        ...without(believed, before),
        ['X-Real-Ip', peer],
        ['X-Forwarded-Proto', 'http'],
        ['X-Forwarded-Host', valueOf(fields, 'host') ?? ''],
        ['X-Forwarded-Port', '80'],
        ['X-Forwarded-Server', 'replay'],
      ];
    },
    ask: async (incoming, fields, peer) => {
      const verdict = await askOverHttp(site.gateway, {
        method: 'GET',
        target: new URL(forwardAuth.address).pathname,
        fields: [
          // Go writes Host and the framing of a request without a body by itself.
          ...without(
            fields.filter(([name]) => !hopByHop.has(name.toLowerCase())),
            ['Host', 'Content-Length', 'X-Forwarded-For', 'X-Forwarded-Method', 'X-Forwarded-Uri'],
          ),
          ['X-Forwarded-For', [valueOf(fields, 'x-forwarded-for'), peer].filter(Boolean).join(', ')],
          ['X-Forwarded-Method', incoming.method as string],
          ['X-Forwarded-Uri', incoming.url as string],
        ],
      });
      if (verdict === undefined || verdict.status < 200 || verdict.status > 299) return refusalOf(verdict);
      return {
        kind: 'pass',
        application: [
          ...without(fields, [...forwardAuth.authResponseHeaders, ...after]),
          ...verdict.fields.filter(([name]) =>
            forwardAuth.authResponseHeaders.some((listed) => listed.toLowerCase() === name.toLowerCase()),
          ),
        ],
        client: verdict.fields.filter(
          ([name, value]) =>
            name.toLowerCase() === 'set-cookie' &&
            forwardAuth.addAuthCookiesToResponse.includes(value.slice(0, value.indexOf('='))),
        ),
      };
    },
    unreachable: 500,
  });
}

interface Patterns {
  readonly patterns: readonly { readonly exact: string }[];
}

interface ExternalAuthorization {
  readonly failure_mode_allow: boolean;
  readonly status_on_error: { readonly code: 'ServiceUnavailable' };
  readonly allowed_headers: Patterns;
  readonly http_service: {
    readonly path_prefix: string;
    readonly authorization_request: { readonly headers_to_add: readonly { key: string; value: string }[] };
    readonly authorization_response: {
      readonly allowed_upstream_headers: Patterns;
      readonly allowed_client_headers_on_success: Patterns;
    };
  };
}

interface EnvoyFile {
  readonly static_resources: {
    readonly listeners: readonly [
      {
        readonly filter_chains: readonly [
          { readonly filters: readonly [{ readonly typed_config: Manager }] },
        ];
      },
    ];
  };
}

export interface Manager {
  readonly common_http_protocol_options: { readonly headers_with_underscores_action: string };
  readonly early_header_mutation_extensions: readonly [
    { readonly typed_config: { readonly mutations: readonly { readonly remove: string }[] } },
  ];
  readonly http_filters: readonly { readonly name: string; readonly typed_config: unknown }[];
}

export async function envoyManager(): Promise<Manager> {
  const { static_resources: resources } = await shipped<EnvoyFile>('envoy/envoy.yaml');
  return resources.listeners[0].filter_chains[0].filters[0].typed_config;
}

/** What Envoy's connection manager does to the fields of a client before any filter. */
export function envoyEntry(manager: Manager): Convention['clean'] {
  const removed = manager.early_header_mutation_extensions[0].typed_config.mutations.map(
    ({ remove }) => remove,
  );
  const action = manager.common_http_protocol_options.headers_with_underscores_action;
  return (fields, peer) => {
    const known = action === 'DROP_HEADER' ? fields.filter(([name]) => !name.includes('_')) : fields;
    return [
      ...without(known, removed).map(([name, value]): Field => [name.toLowerCase(), value]),
      ['x-forwarded-for', peer],
      ['x-forwarded-proto', 'http'],
    ];
  };
}

export async function startEnvoyReplay(site: ProtectedSite): Promise<FrontProxy> {
  const manager = await envoyManager();
  const filter = manager.http_filters[0]?.typed_config as ExternalAuthorization;
  const { path_prefix, authorization_request, authorization_response } = filter.http_service;
  const namesIn = ({ patterns }: Patterns): ReadonlySet<string> =>
    new Set(patterns.map(({ exact }) => exact));
  const asked = namesIn(filter.allowed_headers);
  const toApplication = namesIn(authorization_response.allowed_upstream_headers);
  const toClient = namesIn(authorization_response.allowed_client_headers_on_success);
  return await startReplay(site, {
    clean: envoyEntry(manager),
    ask: async (incoming, fields) => {
      const verdict = await askOverHttp(site.gateway, {
        method: incoming.method as string,
        target: path_prefix + (incoming.url as string),
        fields: [
          ['host', valueOf(fields, 'host') ?? ''],
          ['content-length', '0'],
          ...fields.filter(([name]) => name === 'authorization' || asked.has(name)),
          ...authorization_request.headers_to_add.map(({ key, value }): Field => {
            const source = /^%REQ\((.+)\)%$/.exec(value)?.[1];
            return [key, source === undefined ? value : (valueOf(fields, source) ?? '')];
          }),
        ],
      });
      if (verdict?.status !== 200) return refusalOf(verdict);
      const set = verdict.fields.filter(([name]) => toApplication.has(name.toLowerCase()));
      const names = set.map(([name]) => name);
      return {
        kind: 'pass',
        application: [...without(fields, names), ...set],
        client: verdict.fields.filter(([name]) => toClient.has(name.toLowerCase())),
      };
    },
    unreachable: filter.failure_mode_allow ? 200 : 503,
  });
}

export async function startReplay(site: ProtectedSite, convention: Convention): Promise<FrontProxy> {
  const complaints: string[] = [];
  const server = createServer({ maxHeaderSize: 131_072 }, (incoming, response) => {
    serve(site, convention, incoming, response).catch((error: unknown) => {
      complaints.push(String(error));
      response.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    errorLog: async () => await Promise.resolve(complaints.join('\n')),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

async function serve(
  { gateway, application }: ProtectedSite,
  convention: Convention,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const target = incoming.url as string;
  const peer = incoming.socket.remoteAddress as string;
  const fields = convention.clean(pairs(incoming.rawHeaders), peer);
  if (/^\/+_vratar\/+auth(\/|$)/i.test(decodeURIComponent(target.replace(/\?.*/s, '')))) {
    response.writeHead(404, { 'Content-Length': '0' }).end();
    return;
  }
  if (target.startsWith('/_vratar/')) {
    await relay(gateway, incoming, fields, [], response);
    return;
  }
  const outcome = await convention.ask(incoming, fields, peer);
  if (outcome?.kind !== 'pass') {
    const own = without(outcome?.fields ?? [], [...hopByHop, 'content-length']);
    response.writeHead(outcome?.status ?? convention.unreachable, own.flat()).end(outcome?.body);
    return;
  }
  await relay(application, incoming, outcome.application, outcome.client, response);
}

function refusalOf(verdict: Verdict | undefined): Refusal | undefined {
  return verdict === undefined ? undefined : { kind: 'refuse', ...verdict };
}

/** `undefined`: nobody answers. */
async function askOverHttp(gateway: string, question: Question): Promise<Verdict | undefined> {
  const [host, port] = gateway.split(':');
  const fields = without(question.fields, ['host']);
  const named = valueOf(question.fields, 'host') ?? gateway;
  const sent = request({
    host,
    port,
    method: question.method,
    path: question.target,
    agent: false,
    headers: [['host', named] as const, ...fields].flat(),
  }).end();
  try {
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return {
      status: answer.statusCode as number,
      fields: pairs(answer.rawHeaders),
      body: await buffer(answer),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  }
}

async function relay(
  server: string,
  incoming: IncomingMessage,
  fields: readonly Field[],
  added: readonly Field[],
  response: ServerResponse,
): Promise<void> {
  const [host, port] = server.split(':');
  const kept = fields.filter(([name]) => !hopByHop.has(name.toLowerCase()) || /^transfer/i.test(name));
  const sent = request({
    host,
    port,
    method: incoming.method as string,
    path: incoming.url as string,
    agent: false,
    headers: kept.flat(),
  });
  incoming.pipe(sent);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const own = pairs(answer.rawHeaders).filter(([name]) => !hopByHop.has(name.toLowerCase()));
  response.writeHead(answer.statusCode as number, [...own, ...added].flat());
  answer.pipe(response);
}

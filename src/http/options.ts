/** Options of the listeners. */
import { z } from 'zod';
import { duration, hostNameSource, liveFile, network, size } from '../lib/option-types.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** `mode` of the socket file; omitted: 0660. */
  | { readonly kind: 'unix'; readonly path: string; readonly mode?: number };

const listenAddress = z
  .string()
  .regex(
    new RegExp(`^(unix:/.+|(\\[[0-9a-fA-F:.]+\\]|${hostNameSource}):\\d{1,5})$`),
    'expected host:port, [::]:port or unix:/path',
  )
  .transform((text): ListenAddress => {
    if (text.startsWith('unix:')) return { kind: 'unix', path: text.slice('unix:'.length) };
    const colon = text.lastIndexOf(':');
    return {
      kind: 'tcp',
      host: text.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(text.slice(colon + 1)),
    };
  })
  .refine((address) => address.kind === 'unix' || address.port <= 65_535, 'expected a port up to 65535');

const compatibilities = ['oauth2-proxy', 'authelia'] as const;
export type Compatibility = (typeof compatibilities)[number];

const limits = z
  .strictObject({
    fields: z
      .int()
      .min(16)
      .max(1_000)
      .default(128)
      .describe('fields of a request head; more are answered 431'),
    connectionsPerAddress: z
      .union([z.literal('off'), z.int().min(1).max(65_536)], 'expected off or a number from 1 to 65536')
      .default(512)
      .describe(
        'open connections of one client address (IPv6: of one /64) per worker; not of trusted proxies',
      ),
    streamsPerConnection: z
      .int()
      .min(1)
      .max(1_000)
      .default(100)
      .describe('HTTP/2: requests under way on one connection'),
    bodyRate: z
      .union(
        [
          z.literal('off'),
          z.strictObject({
            atLeast: size({ maxBytes: 1_048_576 }).prefault('8KiB').describe('bytes that have to come'),
            within: duration({ minMs: 1_000, maxMs: 600_000 }).prefault('20s').describe('in each such time'),
          }),
        ],
        'expected off, or atLeast and within',
      )
      .prefault({})
      .describe('request bodies on their way to an application that come slower are answered 408'),
    unreadAnswer: duration({ minMs: 1_000, maxMs: 3_600_000 })
      .prefault('2m')
      .describe('an answer of an application that a client leaves unread for this long is cut off'),
    eventLoopDelay: z
      .union([z.literal('off'), duration({ minMs: 5, maxMs: 60_000 })], 'expected off or a duration')
      .prefault('300ms')
      .describe(
        'a worker that is held up this long, again and again, answers 503 early: first to anonymous requests for applications, then to all, then to sign-in forms',
      ),
  })
  .prefault({})
  .describe('what clients may use up, and what gives way first under overload');

export const serverOptions = z.strictObject({
  listen: listenAddress
    .prefault('127.0.0.1:8080')
    .describe('address of the public listener: host:port, [::]:port or unix:/path'),
  publicUrl: z
    .string()
    .regex(
      new RegExp(`^https?://(${hostNameSource}|\\[[0-9a-f:.]+\\])(:\\d{1,5})?$`),
      'expected https://host[:port] in lower case, without a path',
    )
    .refine(
      (text) => URL.canParse(text) && text === text.toLowerCase(),
      'expected https://host[:port] in lower case, without a path',
    )
    .describe('where people reach the gateway itself, for example https://login.example.com'),
  portalPath: z
    .string()
    .regex(/^(\/[A-Za-z0-9_.~-]+)+$/, 'expected a path such as /_vratar, without a trailing slash')
    .refine((path) => !/\/\.{1,2}(\/|$)/.test(path), 'must not contain "." or ".." segments')
    .default('/_vratar')
    .describe("path of the gateway's own pages on every host"),
  trustedProxies: z
    .array(network)
    .default([])
    .describe('peers whose X-Forwarded-* and X-Original-* fields are believed'),
  grpc: z
    .strictObject({
      listen: listenAddress.describe('address of the gRPC listener: host:port, [::]:port or unix:/path'),
    })
    .optional()
    .describe("Envoy's external authorization over gRPC, in clear text; omitted: off"),
  compatibility: z
    .array(z.enum(compatibilities))
    .default([])
    .describe(
      'answer at /oauth2/ or /api/authz/ as these do, on every host, for front proxies set up for them',
    ),
  tls: z
    .strictObject({
      certificateFile: liveFile.describe("certificate chain in PEM form, the server's own first"),
      keyFile: liveFile.describe('its private key in PEM form, without a passphrase'),
    })
    .optional()
    .describe(
      'TLS of the public listener, HTTP/2 included; changed files are taken over without a restart; omitted: a front proxy ends TLS',
    ),
  redirect: z
    .strictObject({
      listen: listenAddress.describe('address of the listener in clear text, for example [::]:80'),
    })
    .optional()
    .describe('leads http:// to https:// for the hosts the gateway serves; omitted: off'),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(256)], 'expected auto or a number from 1 to 256')
    .default('auto')
    .describe('processes that answer requests; auto: one per core'),
  drainTimeout: duration({ maxMs: 600_000 })
    .prefault('30s')
    .describe('how long requests in flight may take after SIGTERM'),
  limits,
});

export const managementOptions = z.strictObject({
  listen: listenAddress
    .prefault('127.0.0.1:8081')
    .describe('address of /metrics, /livez and /readyz; keep it private'),
});

export type ServerOptions = z.output<typeof serverOptions>;

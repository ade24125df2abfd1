/** Options of the way from the gateway to an application's servers. */
import { z } from 'zod';
import { duration, existingFile, hostNameSource, size } from '../lib/option-types.ts';

const upstreamExpected = 'expected http://host[:port], https://host[:port], unix:/path or whoami';

const upstreamServer = z
  .string(upstreamExpected)
  .regex(
    new RegExp(`^(https?://(\\[[0-9a-fA-F:.]+\\]|${hostNameSource})(:\\d{1,5})?|unix:/.+)$`),
    upstreamExpected,
  )
  .refine(
    (text) => text.startsWith('unix:') || URL.canParse(text),
    'expected a URL that names a possible host and port',
  );

export const upstreamOption = z
  .union([z.literal('whoami'), upstreamServer, z.array(upstreamServer).min(1).max(64)], upstreamExpected)
  .refine(
    (servers) => !Array.isArray(servers) || new Set(servers).size === servers.length,
    'names a server twice',
  );

export const proxyOptions = z
  .strictObject({
    hostHeader: z
      .enum(['keep', 'upstream'])
      .default('keep')
      .describe('the Host a server sees: that of the request, or its own'),
    forwardedField: z
      .boolean()
      .default(false)
      .describe('the servers also get Forwarded (RFC 7239), beside X-Forwarded-*'),
    webSocketOrigins: z
      .array(z.string().regex(/^https?:\/\/[^/?#\s]+$/, 'expected an origin such as https://app.example.com'))
      .default([])
      .describe("pages that may open WebSockets besides the application's own"),
    tls: z
      .strictObject({
        caFile: existingFile.optional().describe('PEM; omitted: the authorities of the system'),
        certificateFile: existingFile.optional().describe('PEM, when a server asks for a certificate'),
        keyFile: existingFile.optional().describe('its private key'),
        serverName: z
          .string()
          .regex(new RegExp(`^${hostNameSource}$`), 'expected a host name')
          .optional()
          .describe('name the certificate must be for; omitted: the host of the server'),
      })
      .refine(
        ({ certificateFile, keyFile }) => (certificateFile === undefined) === (keyFile === undefined),
        'certificateFile and keyFile go together',
      )
      .prefault({})
      .describe('for https servers; verification is always on'),
    timeouts: z
      .strictObject({
        connect: duration({ minMs: 10, maxMs: 60_000 }).prefault('5s').describe('until connected'),
        head: duration({ minMs: 100, maxMs: 3_600_000 })
          .prefault('60s')
          .describe('from the whole request to the head of the answer'),
        idle: duration({ minMs: 100, maxMs: 3_600_000 })
          .prefault('5m')
          .describe('longest silence within an answer'),
        total: z
          .union(
            [z.literal('off'), duration({ minMs: 100, maxMs: 86_400_000 })],
            'expected off or a duration',
          )
          .default('off')
          .describe('from the request to the end of its answer'),
      })
      .prefault({})
      .describe('beyond one of them the answer is 504'),
    connections: z.int().min(1).max(4_096).default(256).describe('connections to one server, per worker'),
    maxBodySize: size({ maxBytes: 1_099_511_627_776 })
      .prefault('4GiB')
      .describe('body of a request; a larger one is answered 413'),
    queue: z
      .int()
      .min(0)
      .max(65_536)
      .default(1_024)
      .describe('requests that wait for a connection, per worker; beyond it the answer is 503'),
    health: z
      .strictObject({
        path: z
          .string()
          .regex(/^\/[!-~]*$/, 'expected a path such as /healthz')
          .describe('answered with 200 to 399 by a server that works'),
        interval: duration({ minMs: 500, maxMs: 600_000 }).prefault('10s').describe('between two questions'),
        timeout: duration({ minMs: 50, maxMs: 60_000 }).prefault('2s').describe('for one answer'),
      })
      .optional()
      .describe('asks every server by itself; omitted: requests show which servers work'),
  })
  .prefault({})
  .describe('how requests reach the servers of upstream');

export type ProxyOptions = z.output<typeof proxyOptions>;

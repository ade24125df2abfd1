/** Options of the listeners. */
import { z } from 'zod';
import { duration } from '../lib/option-types.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const listenAddress = z
  .string()
  .regex(
    /^(unix:\/.+|(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5})$/,
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

const cidr = z
  .string()
  .regex(/^[0-9a-fA-F:.]+(\/\d{1,3})?$/, 'expected an address or network such as 10.0.0.0/8');

export const serverOptions = z.strictObject({
  listen: listenAddress.prefault('127.0.0.1:8080'),
  publicUrl: z
    .string()
    .regex(
      /^https?:\/\/[a-z0-9.-]+(:\d{1,5})?$|^https?:\/\/\[[0-9a-f:]+\](:\d{1,5})?$/,
      'expected https://host[:port] in lower case, without a path',
    )
    .describe('where people reach the gateway itself'),
  portalPath: z
    .string()
    .regex(/^(\/[A-Za-z0-9_.~-]+)+$/, 'expected a path such as /_vratar, without a trailing slash')
    .default('/_vratar'),
  trustedProxies: z
    .array(cidr)
    .default([])
    .describe('peers whose X-Forwarded-* and X-Original-* fields are believed'),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(256)])
    .default('auto')
    .describe('processes; auto: one per core'),
  drainTimeout: duration({ maxMs: 600_000 })
    .prefault('30s')
    .describe('how long requests in flight may take after SIGTERM'),
});

export const managementOptions = z.strictObject({
  listen: listenAddress.prefault('127.0.0.1:8081'),
});

export type ServerOptions = z.output<typeof serverOptions>;
export type ManagementOptions = z.output<typeof managementOptions>;

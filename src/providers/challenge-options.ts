/** Options of a negotiation: which browsers are asked for a ticket. Whoever is not asked sees the form at once. */
import { z } from 'zod';
import { hostNameSource, network } from '../lib/option-types.ts';

const hostPattern = z
  .string()
  .regex(
    new RegExp(`^(\\*\\.)?${hostNameSource}$`),
    'expected a host name in lower case without port, exact or *.example.com',
  )
  .refine(
    (host) => host === host.toLowerCase(),
    'expected a host name in lower case without port, exact or *.example.com',
  );

const userAgentPart = z.string().min(1).max(200);

export const challengeOptions = z.strictObject({
  clients: z
    .array(network)
    .min(1)
    .optional()
    .describe('addresses of clients that are asked for a ticket; omitted: everyone'),
  hosts: z
    .array(hostPattern)
    .min(1)
    .optional()
    .describe('hosts on which a ticket is asked for, exact or *.example.com; omitted: all'),
  userAgents: z
    .array(userAgentPart)
    .min(1)
    .optional()
    .describe('only browsers whose User-Agent holds one of these texts; omitted: all'),
  exceptUserAgents: z
    .array(userAgentPart)
    .default([])
    .describe('never browsers whose User-Agent holds one of these texts'),
});
export type ChallengeOptions = z.output<typeof challengeOptions>;

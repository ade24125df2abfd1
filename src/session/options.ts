/** Options of sessions and their cookie. */
import { z } from 'zod';
import { duration } from '../lib/option-types.ts';

export const sessionOptions = z
  .strictObject({
    cookie: z
      .strictObject({
        name: z
          .string()
          .regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 letters, digits, "-" or "_"')
          .refine((name) => !/^__(host|secure)-/i.test(name), 'the __Host- prefix is added by itself')
          .default('vratar')
          .describe('name of the session cookie, without the __Host- prefix'),
        domain: z
          .string()
          .regex(
            /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/,
            'expected a domain such as example.com, lower case, without a leading dot',
          )
          .optional()
          .describe(
            'one sign-in for all hosts below this domain; omitted: one per host, with the __Host- prefix',
          ),
        sameSite: z.enum(['lax', 'strict', 'none']).default('lax').describe('SameSite attribute'),
      })
      .prefault({})
      .describe('the session cookie; Secure follows server.publicUrl'),
    idleTimeout: duration({ minMs: 10_000 })
      .prefault('1h')
      .describe('a session ends after this long without a request'),
    absoluteTimeout: duration({ minMs: 60_000 })
      .prefault('12h')
      .describe('a session ends this long after sign-in'),
    refreshInterval: duration({ minMs: 1_000 })
      .prefault('5m')
      .describe('how often groups and account status are read again'),
  })
  .refine((session) => session.idleTimeout <= session.absoluteTimeout, {
    path: ['idleTimeout'],
    message: 'is longer than absoluteTimeout',
  });

export type SessionOptions = z.output<typeof sessionOptions>;

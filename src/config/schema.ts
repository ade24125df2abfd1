/** The whole configuration, composed of the fragments that live beside the code they configure. No option is declared here. */
import { z } from 'zod';
import { applicationOptions, roleOptions } from '../access/options.ts';
import { directoryOptions } from '../directory/options.ts';
import { managementOptions, serverOptions } from '../http/options.ts';
import { zimbraOptions } from '../preauth/options.ts';
import { providerOptions, throttleOptions } from '../providers/options.ts';
import { sessionOptions } from '../session/options.ts';
import { keysOptions, stateOptions } from '../state/options.ts';

export const configSchema = z.strictObject({
  server: serverOptions.describe('the public listener'),
  management: managementOptions.prefault({}).describe('the listener for metrics and health'),
  session: sessionOptions.prefault({}).describe('sessions and their cookie'),
  state: stateOptions.prefault({}).describe('where sessions and generated keys are kept'),
  directories: z.array(directoryOptions).default([]).describe('LDAP directories'),
  providers: z
    .array(providerOptions)
    .default([])
    .describe('how people sign in; the order is the order in which providers are asked'),
  roles: z
    .array(roleOptions)
    .default([])
    .describe('what people are granted at sign-in and at every refresh; all entries that match apply'),
  applications: z.array(applicationOptions).default([]).describe('what is protected, and for whom'),
  zimbra: z
    .array(zimbraOptions)
    .default([])
    .describe('Zimbra and Carbonio mailboxes, opened without a password'),
  keys: keysOptions.prefault({}).describe('keys the gateway makes for itself'),
  throttle: throttleOptions.prefault({}).describe('limits on failed sign-ins'),
});

export type Config = z.output<typeof configSchema>;
export type Section = keyof Config;

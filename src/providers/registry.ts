/** Provider types and what makes one of each: a new type is one row here and one in options.ts. */
import { join } from 'node:path';
import type { Directory } from '../directory/directory.ts';
import { GatewayError } from '../errors.ts';
import type { GroupTable } from '../identity/group.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createKerberosProvider } from './kerberos/kerberos-provider.ts';
import type { TicketMemory } from './kerberos/shared-verdicts.ts';
import { createLdapProvider } from './ldap/ldap-provider.ts';
import { createLocalProvider } from './local/local-provider.ts';
import type { ProviderOptions } from './options.ts';
import type { Provider } from './provider.ts';

export interface ProviderDependencies {
  /** By configured name. */
  readonly directories: ReadonlyMap<string, Directory>;
  readonly groupTable: GroupTable;
  /** PHC hashes of generated passwords by `provider:username`. */
  readonly generatedHashes: ReadonlyMap<string, string>;
  /** Absolute path: providers that must remember something over a restart keep it there. */
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Accepted by any worker. */
  readonly tickets: TicketMemory;
}

type Factories = {
  readonly [Type in ProviderOptions['type']]: (
    options: Extract<ProviderOptions, { type: Type }>,
    dependencies: ProviderDependencies,
  ) => Provider;
};

const factories: Factories = {
  kerberos: (options, { directories, stateDirectory, logger, metrics, clock, tickets }) =>
    createKerberosProvider(options, {
      directory:
        options.directory === undefined
          ? undefined
          : directoryOf(options.name, options.directory, directories),
      replayFile: join(stateDirectory, `kerberos-${options.name}.replay`),
      logger: logger.with({ provider: options.name }),
      metrics,
      clock,
      tickets,
    }),
  ldap: (options, { directories }) =>
    createLdapProvider(options, directoryOf(options.name, options.directory, directories)),
  local: createLocalProvider,
};

/** In configured order. Throws GatewayError CONFIG_INVALID for options that contradict each other. */
export function createProviders(
  options: readonly ProviderOptions[],
  dependencies: ProviderDependencies,
): readonly Provider[] {
  return options.map((provider) => createProvider(provider, dependencies));
}

function directoryOf(provider: string, name: string, directories: ReadonlyMap<string, Directory>): Directory {
  const directory = directories.get(name);
  if (directory !== undefined) return directory;
  throw new GatewayError('CONFIG_INVALID', `provider ${provider}: there is no directory "${name}"`, {
    fields: { provider },
  });
}

function createProvider<Type extends ProviderOptions['type']>(
  options: Extract<ProviderOptions, { type: Type }>,
  dependencies: ProviderDependencies,
): Provider {
  const create: Factories[Type] = factories[options.type as Type];
  return create(options, dependencies);
}

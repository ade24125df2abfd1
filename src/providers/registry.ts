/** Provider types and what makes one of each: a new type is one row here and one in options.ts. */
import type { Directory } from '../directory/directory.ts';
import { GatewayError } from '../errors.ts';
import type { GroupTable } from '../identity/group.ts';
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
}

type Factories = {
  readonly [Type in ProviderOptions['type']]: (
    options: Extract<ProviderOptions, { type: Type }>,
    dependencies: ProviderDependencies,
  ) => Provider;
};

const factories: Factories = {
  ldap: (options, { directories }) => {
    const directory = directories.get(options.directory);
    if (directory === undefined) {
      throw new GatewayError(
        'CONFIG_INVALID',
        `provider ${options.name}: there is no directory "${options.directory}"`,
        { fields: { provider: options.name } },
      );
    }
    return createLdapProvider(options, directory);
  },
  local: createLocalProvider,
};

/** In configured order. Throws GatewayError CONFIG_INVALID for options that contradict each other. */
export function createProviders(
  options: readonly ProviderOptions[],
  dependencies: ProviderDependencies,
): readonly Provider[] {
  return options.map((provider) => createProvider(provider, dependencies));
}

function createProvider<Type extends ProviderOptions['type']>(
  options: Extract<ProviderOptions, { type: Type }>,
  dependencies: ProviderDependencies,
): Provider {
  const create: Factories[Type] = factories[options.type as Type];
  return create(options, dependencies);
}

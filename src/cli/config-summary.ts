/** A valid configuration in a few lines: what is served, who may sign in, and what it costs the directories. */
import type { Config } from '../config/schema.ts';
import type { DirectoryOptions } from '../directory/options.ts';
import { serviceNameOf } from '../directory/service-discovery.ts';
import type { ProviderOptions } from '../providers/options.ts';

/** Search connections per server and worker, on top of `pool.connections`. */
const searchConnections = 2;

/** `cores` is what `workers: auto` stands for on this machine. */
export function summarizeConfig(config: Config, cores: number): string {
  const workers = config.server.workers === 'auto' ? cores : config.server.workers;
  const hosts = new Set(config.applications.flatMap(({ hosts }) => hosts));
  const { applications, providers, directories, zimbra } = config;
  return [
    `portal: ${config.server.publicUrl}${config.server.portalPath}/, ${count(workers, 'worker')}`,
    `${count(applications.length, 'application')} on ${count(hosts.size, 'host')}`,
    ...applications.map(
      ({ name, hosts: served, pathPrefix, upstream, rules }) =>
        `  ${name}: ${served.map((host) => `${host}${pathPrefix}`).join(', ')} -> ${[upstream ?? 'forward-auth only'].flat().join(', ')}, ${count(rules.length, 'rule')}`,
    ),
    `${count(providers.length, 'provider')}`,
    ...providers.map((provider) => `  ${provider.name}: ${describeProvider(provider)}`),
    `${count(directories.length, 'directory', 'directories')}`,
    ...directories.map((directory) => `  ${directory.name}: ${describeConnections(directory, workers)}`),
    ...(zimbra.length === 0 ? [] : [count(zimbra.length, 'mailbox service')]),
    ...zimbra.map(
      ({ name, url, domains }) => `  ${name}: ${url}, ${count(Object.keys(domains).length, 'domain')}`,
    ),
    '',
  ].join('\n');
}

function describeProvider(provider: ProviderOptions): string {
  switch (provider.type) {
    case 'ldap':
      return `ldap, directory ${provider.directory}`;
    case 'local':
      return `local, ${count(provider.users.length, 'account')}`;
    case 'kerberos': {
      const realms = provider.realms.map((realm) => (typeof realm === 'string' ? realm : realm.name));
      const people = provider.directory === undefined ? '' : `, directory ${provider.directory}`;
      return `kerberos, ${realms.join(', ')}${people}`;
    }
  }
}

/** The most connections the directory's servers see together, spelled out: servers refuse what exceeds their limits. */
function describeConnections(directory: DirectoryOptions, workers: number): string {
  const { servers, pool } = directory;
  const perServer = workers * (pool.connections + searchConnections);
  const sum = `${count(workers, 'worker')} x (${pool.connections} + ${searchConnections})`;
  const service = serviceNameOf(directory);
  if (service !== undefined) {
    return `up to ${perServer} LDAP connections to each server in ${service.record} (${sum})`;
  }
  return `up to ${servers.length * perServer} LDAP connections (${count(servers.length, 'server')} x ${sum})`;
}

function count(amount: number, one: string, many = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`;
}

/** How many threads the pool of a worker has, where the configuration knows better than the launcher. */
import type { Config } from '../config/schema.ts';

/** Of the launcher, when the operator chose nothing. */
const usualThreads = '16';
/** Always awake while tickets come in; a second one would sleep or wait for libkrb5's locks most of the time. */
const ticketThreads = '1';

/**
 * Variables of the environment of a worker. Tickets judged in the worker fight over libkrb5's locks, and waking one of
 * many sleeping threads for each costs as much as judging it (bench/kerberos.ts). Fewer threads only where nothing slow
 * shares them: no hash of a password, no look-up of the name of a directory or an application.
 */
export function workerEnvironment(
  { providers, applications }: Pick<Config, 'providers' | 'applications'>,
  threads = process.env['UV_THREADPOOL_SIZE'],
): Readonly<Record<string, string>> {
  const judgesTicketsAlone =
    providers.length > 0 &&
    providers.every(
      (provider) =>
        provider.type === 'kerberos' && provider.isolation === 'none' && provider.directory === undefined,
    ) &&
    applications.every(({ upstream }) => upstream === undefined);
  return judgesTicketsAlone && threads === usualThreads ? { UV_THREADPOOL_SIZE: ticketThreads } : {};
}

/**
 * What libkrb5 is told, and by the only way there is: variables of the environment of the process. The one place
 * outside the entry points that reads or sets them.
 */

export interface KerberosEnvironment {
  /** Absolute path. */
  readonly keytab: string;
  /** Where presented tickets are recorded; `undefined`: nowhere, and none is refused for having been seen. */
  readonly replayFile: string | undefined;
  /** krb5.conf; omitted: none is read. */
  readonly krb5Config?: string | undefined;
}

/**
 * To accept tickets libkrb5 needs nothing but the keytab; it would read its configuration anew for every ticket, a
 * sixth of what one costs (bench/kerberos.ts).
 */
const noConfig = '/nonexistent/krb5.conf';

/** Passed on to a helper; passwords and other secrets in the gateway's environment are none of its business. */
const passedOn = /^(KRB5_TRACE|LANG|LC_ALL|TZ|TMPDIR|LD_LIBRARY_PATH|NODE_COMPILE_CACHE)$/;

/** For a process that is being forked. */
export function helperEnvironment(settings: KerberosEnvironment): Readonly<Record<string, string>> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && passedOn.test(entry[0]),
  );
  return {
    ...Object.fromEntries(kept),
    ...variables(settings),
    // libkrb5 takes global locks: a second thread costs more than it brings. Helpers scale, one for each worker.
    UV_THREADPOOL_SIZE: '1',
    // One heap of the C library for both: less memory, and what leaks is seen sooner.
    MALLOC_ARENA_MAX: '1',
  };
}

/** For this process; libkrb5 reads them anew for every ticket. */
export function applyEnvironment(settings: KerberosEnvironment): void {
  Object.assign(process.env, variables(settings));
}

function variables({
  keytab,
  replayFile,
  krb5Config = noConfig,
}: KerberosEnvironment): Readonly<Record<string, string>> {
  return {
    KRB5_CONFIG: krb5Config,
    KRB5_KTNAME: `FILE:${keytab}`,
    KRB5RCACHENAME: replayFile === undefined ? 'none:' : `file2:${replayFile}`,
  };
}

/**
 * A real MIT Kerberos realm on a free loopback port: its KDC, keytabs for services, ticket caches for people, and the
 * tokens that a browser would send. Runs as root and as an ordinary user. Names of services lie below `.localhost`, so
 * that browsers and curl reach them and build the right service name without a resolver.
 */
import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '#test/support/free-port.ts';
import { type Daemon, runTool, startDaemon, startSomewhere } from './daemon.ts';
import { startTicketHolder, type TicketHolder, type TokenOptions } from './ticket-holder.ts';

export interface KdcOptions {
  /** Default `TEST.LOCAL`. */
  readonly realm?: string;
  /** Password is `<name>-password`. Default alice and bob. */
  readonly people?: readonly string[];
  /** Default `HTTP/gw.localhost`; all of them stand in `keytab`. */
  readonly services?: readonly string[];
  /** Key types of new principals, as kadmin spells them. Default AES with 256 and 128 bits. */
  readonly keyTypes?: string;
}

export interface Kdc extends AsyncDisposable {
  readonly realm: string;
  readonly port: number;
  readonly folder: string;
  /** krb5.conf of this realm. */
  readonly configFile: string;
  /** Keys of every service. */
  readonly keytab: string;
  /** What a program needs in its environment to hold a ticket of this person: KRB5_CONFIG, KRB5CCNAME. */
  signIn(person: string): Promise<Readonly<Record<'KRB5_CONFIG' | 'KRB5CCNAME', string>>>;
  /** A fresh token for `Authorization: Negotiate`, base64, as a client that holds the person's ticket makes it. */
  token(person: string, service?: string, options?: TokenOptions): Promise<string>;
  /** A token of somebody whose clock is wrong by so many seconds; the ticket itself was issued at the right time. */
  tokenOfWrongClock(offsetSeconds: number, person: string, service?: string): Promise<string>;
  /** Forgets the tickets for services that `token` and `signIn` keep, so that the next ones come from the KDC. */
  forgetTickets(): Promise<void>;
  /** A new key for the service, which only tickets issued from now on use. Answers a keytab that holds old and new. */
  rotateKey(service: string): Promise<void>;
  /** Writes a keytab of its own for the services, with their present keys. */
  writeKeytab(file: string, services: readonly string[]): Promise<void>;
  /** Runs commands of kadmin.local and answers what it printed. */
  administer(...commands: readonly string[]): Promise<string>;
}

const defaultService = 'HTTP/gw.localhost';

export async function startKdc(options: KdcOptions = {}): Promise<Kdc> {
  const { realm = 'TEST.LOCAL', people = ['alice', 'bob'], services = [defaultService] } = options;
  const folder = await mkdtemp(join(tmpdir(), 'vratar-kdc-'));
  const configFile = join(folder, 'krb5.conf');
  const keytab = join(folder, 'http.keytab');
  const env = { KRB5_CONFIG: configFile, KRB5_KDC_PROFILE: join(folder, 'kdc.conf') };
  const holders = new Map<string, Promise<TicketHolder>>();

  const administer = async (...commands: readonly string[]): Promise<string> => {
    // It ends with 0 whatever happens, repeats every command, and complains on standard error only.
    const input = `${commands.join('\n')}\n`;
    const printed = await runTool('sh', ['-c', 'exec kadmin.local 2>&1'], { input, env });
    const refusal = /^(?:kadmin\.local: \S|[a-z_]+: ).*$/m.exec(printed);
    if (refusal !== null) throw new Error(`kadmin.local refused: ${refusal[0]}`);
    return printed;
  };
  /** Keys are taken as they are: the plain `ktadd` makes new ones, and tickets of the old ones would fail. */
  const exportKeys = async (file: string, names: readonly string[]): Promise<void> => {
    const fresh = join(folder, `export-${process.hrtime.bigint()}.keytab`);
    await administer(...names.map((name) => `ktadd -norandkey -k ${fresh} ${name}`));
    await chmod(fresh, 0o600);
    await rename(fresh, file);
  };
  const launch = async (): Promise<{ readonly kdc: Daemon; readonly port: number }> => {
    const port = await freePort();
    await writeFile(configFile, clientConfiguration(realm, port));
    await writeFile(env.KRB5_KDC_PROFILE, kdcConfiguration(realm, port, folder, options.keyTypes));
    const kdc = await startDaemon({
      command: 'krb5kdc',
      args: ['-n'],
      env: { ...process.env, ...env },
      logFile: join(folder, 'kdc.log'),
      host: '127.0.0.1',
      port,
    });
    return { kdc, port };
  };

  await writeFile(configFile, clientConfiguration(realm, 1));
  await writeFile(env.KRB5_KDC_PROFILE, kdcConfiguration(realm, 1, folder, options.keyTypes));
  await runTool('kdb5_util', ['-r', realm, '-P', 'master-password', 'create', '-s'], { env });
  await administer(
    ...people.map((name) => `addprinc -pw ${name}-password "${name}"`),
    ...services.map((name) => `addprinc -randkey ${name}`),
  );
  await exportKeys(keytab, services);
  const { kdc, port } = await startSomewhere(launch);

  const cacheOf = (person: string): string => join(folder, `cc-${Buffer.from(person).toString('hex')}`);
  const signIn = async (person: string): Promise<Readonly<Record<'KRB5_CONFIG' | 'KRB5CCNAME', string>>> => {
    const client = { KRB5_CONFIG: configFile, KRB5CCNAME: `FILE:${cacheOf(person)}` };
    await runTool('kinit', [person], { input: `${person}-password\n`, env: client });
    return client;
  };
  const holderOf = async (person: string): Promise<TicketHolder> => {
    let holder = holders.get(person);
    if (holder === undefined) {
      holder = signIn(person).then((client) => startTicketHolder(client));
      holders.set(person, holder);
    }
    return await holder;
  };
  const asked = new Set<Promise<string>>();
  const tokenOf = async (person: string, service: string, more: TokenOptions = {}): Promise<string> => {
    const token = holderOf(person).then(async (holder) => await holder.token(service, more));
    asked.add(token);
    try {
      return await token;
    } finally {
      asked.delete(token);
    }
  };
  const endHolders = async (): Promise<void> => {
    const ending = [...holders.values()];
    holders.clear();
    // Somebody may have got a holder and not yet asked it.
    await Promise.allSettled(asked);
    await Promise.all(ending.map(async (holder) => await (await holder)[Symbol.asyncDispose]()));
  };

  return {
    realm,
    port,
    folder,
    configFile,
    keytab,
    signIn,
    token: async (person, service = defaultService, tokenOptions = {}) =>
      await tokenOf(person, service, tokenOptions),
    tokenOfWrongClock: async (offsetSeconds, person, service = defaultService) => {
      // The ticket is fetched first: a KDC gives none to a client whose clock is wrong.
      await tokenOf(person, service);
      const wrong = join(folder, `cc-wrong-${offsetSeconds}`);
      await writeFile(wrong, withClockOffset(await readFile(cacheOf(person)), offsetSeconds));
      await using holder = startTicketHolder({ KRB5_CONFIG: configFile, KRB5CCNAME: `FILE:${wrong}` });
      return await holder.token(service);
    },
    forgetTickets: endHolders,
    rotateKey: async (service) => {
      await administer(`cpw -randkey -keepold ${service}`);
    },
    writeKeytab: exportKeys,
    administer,
    [Symbol.asyncDispose]: async () => {
      await endHolders();
      await kdc[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * A ticket cache whose owner believes to know that their clock is wrong: version 4 of the format begins with the
 * difference to the KDC's clock, which the client adds to its own.
 */
function withClockOffset(cache: Buffer, offsetSeconds: number): Buffer {
  const changed = Buffer.from(cache);
  const isExpected = changed.readUInt16BE(0) === 0x0504 && changed.readUInt16BE(4) === 1;
  if (!isExpected) throw new Error('the ticket cache begins with something else than a clock offset');
  changed.writeInt32BE(offsetSeconds, 8);
  return changed;
}

function clientConfiguration(realm: string, port: number): string {
  return `[libdefaults]
  default_realm = ${realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
  forwardable = true
[realms]
  ${realm} = {
    kdc = 127.0.0.1:${port}
  }
[domain_realm]
  .localhost = ${realm}
`;
}

function kdcConfiguration(
  realm: string,
  port: number,
  folder: string,
  keyTypes = 'aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal',
): string {
  return `[kdcdefaults]
  kdc_listen = 127.0.0.1:${port}
  kdc_tcp_listen = 127.0.0.1:${port}
[realms]
  ${realm} = {
    database_name = ${folder}/principal
    key_stash_file = ${folder}/stash
    acl_file = ${folder}/acl
    max_life = 10h
    supported_enctypes = ${keyTypes}
  }
[logging]
  kdc = FILE:${folder}/kdc.log
`;
}

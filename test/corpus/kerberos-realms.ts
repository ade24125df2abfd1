/** The realms of the rows about tickets: the corpus' own, a partner's, and one of nobody, with one keytab for all three. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { fetchLargeTicket } from '#test/servers/large-ticket.ts';
import { startTicketHolder } from '#test/servers/ticket-holder.ts';

export const homeRealm = 'EXAMPLE.TEST';
const service = 'HTTP/app.example.test';
const otherService = 'HTTP/other.example.test';
/**
 * In the place of `WELLKNOWN/ANONYMOUS`, which MIT gives to clients with PKINIT alone; what stands below WELLKNOWN is
 * read alike, and the exact name is in test/providers/kerberos/principal-name.test.ts.
 */
const nobody = 'WELLKNOWN/NOBODY';

export class Realms implements AsyncDisposable {
  readonly #resources: AsyncDisposable;
  readonly #home: Kdc;
  readonly #partner: Kdc;
  readonly #nobodys: Kdc;
  /** Keys of the application's service in each realm; of no other service. */
  readonly keytab: string;

  private constructor(resources: AsyncDisposable, kdcs: readonly [Kdc, Kdc, Kdc], keytab: string) {
    this.#resources = resources;
    [this.#home, this.#partner, this.#nobodys] = kdcs;
    this.keytab = keytab;
  }

  static async start(): Promise<Realms> {
    await using resources = new AsyncDisposableStack();
    const start = async (realm: string, people: readonly string[], services = [service]): Promise<Kdc> =>
      resources.use(await startKdc({ realm, people, services }));
    const home = await start(homeRealm, ['alice', 'dis', 'HTTP/x.example.test'], [service, otherService]);
    const partner = await start('PARTNER.TEST', ['alice', 'root1\\@EXAMPLE.TEST']);
    const nobodys = await start('NOBODY.TEST', [nobody]);
    const keytab = join(home.folder, 'corpus.keytab');
    await home.writeKeytab(keytab, [service]);
    const others = await Promise.all([partner, nobodys].map(async (kdc) => await readFile(kdc.keytab)));
    // A keytab is two bytes for its format, then entries.
    const entries = others.map((bytes) => bytes.subarray(2));
    await writeFile(keytab, Buffer.concat([await readFile(keytab), ...entries]));
    return new Realms(resources.move(), [home, partner, nobodys], keytab);
  }

  /** What `$krb(…)` stands for: a person, or a person and how their ticket differs from a plain one. */
  async token(notation: string): Promise<string> {
    const [person = '', difference] = notation.split(',');
    if (person === 'alice@PARTNER.TEST') return await this.#partner.token('alice', service);
    if (person.endsWith('@PARTNER.TEST')) {
      return await this.#partner.token(person.slice(0, -'@PARTNER.TEST'.length), service);
    }
    if (person.startsWith('WELLKNOWN/')) return await this.#nobodys.token(nobody, service);
    switch (difference) {
      case undefined:
      case 'replay':
        return await this.#home.token(person, service);
      case 'spn=HTTP/other.example.test':
        return await this.#home.token(person, otherService);
      case 'skew=360':
        return await this.#home.tokenOfWrongClock(360, person, service);
      case 'pad=48000':
        return await this.#largeToken(person, 48_000);
      default:
        throw new Error(`unknown kind of ticket: ${difference}`);
    }
  }

  async #largeToken(person: string, bytes: number): Promise<string> {
    await this.#home.forgetTickets();
    const environment = await this.#home.signIn(person);
    await fetchLargeTicket(environment, service, bytes);
    await using holder = startTicketHolder(environment);
    return await holder.token(service);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}

/**
 * For which services tickets are accepted: the configured ones, or every HTTP service the keytab holds a key for. Reads
 * the keytab again when the file was replaced, so that a new service needs no restart.
 */
import { statSync } from 'node:fs';
import { type KeytabEntry, readKeytab } from './keytab.ts';

export interface ServiceOptions {
  readonly keytab: string;
  /** `HTTP/host` or `HTTP/host@REALM`; `undefined`: every HTTP service of the keytab. */
  readonly principals: readonly string[] | undefined;
}

export class AcceptedServices {
  readonly #options: ServiceOptions;
  #stamp: string;
  #names: ReadonlySet<string>;

  /** Throws KeytabFormatError, and the system's error when the file cannot be read. */
  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#stamp = stampOf(options.keytab);
    this.#names = namesOf(readKeytab(options.keytab), options.principals);
  }

  /**
   * Whether tickets for `HTTP/host@REALM` are accepted. Case is ignored: KDCs of Active Directory do, and the key
   * decides in the end.
   */
  has(principal: string): boolean {
    const folded = principal.toLowerCase();
    if (this.#names.has(folded)) return true;
    this.#readAgain();
    return this.#names.has(folded);
  }

  #readAgain(): void {
    const { keytab, principals } = this.#options;
    try {
      const stamp = stampOf(keytab);
      if (stamp === this.#stamp) return;
      this.#names = namesOf(readKeytab(keytab), principals);
      this.#stamp = stamp;
    } catch {
      // Gone, or caught half written: what was read last holds until the file can be read, and the library reports
      // the state of the file with every ticket.
    }
  }
}

function stampOf(file: string): string {
  const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
  return `${dev}:${ino}:${size}:${mtimeNs}`;
}

function namesOf(
  entries: readonly KeytabEntry[],
  principals: readonly string[] | undefined,
): ReadonlySet<string> {
  const isWanted = ({ service, principal }: KeytabEntry): boolean =>
    principals === undefined
      ? /^HTTP\//i.test(service)
      : principals.some((wanted) => sameName(wanted, wanted.includes('@') ? principal : service));
  return new Set(entries.filter(isWanted).map(({ principal }) => principal.toLowerCase()));
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

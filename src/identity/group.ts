/**
 * Groups and the table that keeps one shared object per group: a hundred thousand sessions of one company
 * hold a few thousand groups, so sharing halves the memory (bench/memory.ts).
 */
import { normalizeDn } from './distinguished-name.ts';

export interface Group {
  /** Short name, the value of the directory's `nameAttribute`. */
  readonly name: string;
  /** `undefined` for groups that no directory holds (local accounts, granted by a rule). */
  readonly dn: string | undefined;
  readonly directory: string | undefined;
  /** Lower-case name, what rules compare. */
  readonly foldedName: string;
  /** Normalised DN, what rules compare. */
  readonly foldedDn: string | undefined;
}

export class GroupTable {
  readonly #groups = new Map<string, Group>();
  readonly #maxGroups: number;

  /** Beyond `maxGroups` the table starts anew; groups in use live on with their sessions. */
  constructor(maxGroups = 100_000) {
    this.#maxGroups = maxGroups;
  }

  intern(name: string, dn?: string, directory?: string): Group {
    const key = `${directory ?? ''}\0${dn ?? ''}\0${name}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    if (this.#groups.size >= this.#maxGroups) this.#groups.clear();
    const group: Group = {
      name,
      dn,
      directory,
      foldedName: foldGroupName(name),
      foldedDn: dn === undefined ? undefined : normalizeDn(dn),
    };
    this.#groups.set(key, group);
    return group;
  }

  get size(): number {
    return this.#groups.size;
  }
}

/** Directories compare group names without case (caseIgnoreMatch, RFC 4517 section 4.2.11), so rules do too. */
export function foldGroupName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/**
 * Forms that wait for their sender to sign in again: sealed bytes in the primary's memory for five minutes, bounded,
 * so that whoever sends forms without signing in fills nothing but a little of it. Knows neither keys nor contents,
 * and keeps nothing over a restart.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';

/** Throws GatewayError SESSION_STORE_UNAVAILABLE when the primary cannot be reached. */
export interface KeptForms {
  /** One half of the key of every form, made anew at every start; the other half is the sender's alone. */
  formSalt(): Promise<Uint8Array>;
  /** `false`: there are too many already, of this address or of all. `address`: whose share it counts against. */
  keepForm(form: KeptForm, address: string): Promise<boolean>;
  /** `undefined`: there is none, or its time is over. It stays. */
  findForm(id: string): Promise<Uint8Array | undefined>;
  /** `false`: somebody was faster, or its time is over. Of all who ask, one is told `true`. */
  dropForm(id: string): Promise<boolean>;
}

export interface KeptForm {
  readonly id: string;
  readonly sealed: Uint8Array;
  /** The form the same browser left before: a browser has one. */
  readonly replaces: string | undefined;
}

export const formKeptForMs = 300_000;

export interface KeptFormLimits {
  readonly forms: number;
  readonly bytes: number;
  /** Of one address, which may be that of a whole office. */
  readonly formsPerAddress: number;
  readonly bytesPerAddress: number;
}

const defaultLimits: KeptFormLimits = {
  forms: 2_000,
  bytes: 33_554_432,
  formsPerAddress: 64,
  bytesPerAddress: 1_048_576,
};

/** What an entry costs beside its bytes, so that many small ones are not free. */
const overheadBytes = 512;

interface Entry {
  readonly sealed: Uint8Array;
  readonly address: string;
  readonly expiresAtMs: number;
}

interface Share {
  forms: number;
  bytes: number;
}

export class KeptFormLedger {
  readonly #clock: Clock;
  readonly #limits: KeptFormLimits;
  /** In order of arrival, and so of expiry: all are kept for the same time. */
  readonly #entries = new Map<string, Entry>();
  readonly #shares = new Map<string, Share>();
  #bytes = 0;
  readonly salt: Uint8Array = randomBytes(32);

  constructor(clock: Clock, limits: KeptFormLimits = defaultLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  keep({ id, sealed, replaces }: KeptForm, address: string): boolean {
    this.#forgetOld();
    if (replaces !== undefined) this.#remove(replaces);
    const { forms, bytes, formsPerAddress, bytesPerAddress } = this.#limits;
    const cost = costOf(sealed);
    const share = this.#shares.get(address) ?? { forms: 0, bytes: 0 };
    // The newcomer is refused: to push others out would let one who sends many empty the ledger.
    if (
      this.#entries.has(id) ||
      this.#entries.size >= forms ||
      this.#bytes + cost > bytes ||
      share.forms >= formsPerAddress ||
      share.bytes + cost > bytesPerAddress
    ) {
      return false;
    }
    // A copy of its own: what arrives over a channel may be a view of a larger message, which would stay with it.
    this.#entries.set(id, {
      sealed: new Uint8Array(sealed),
      address,
      expiresAtMs: this.#clock.now() + formKeptForMs,
    });
    this.#shares.set(address, { forms: share.forms + 1, bytes: share.bytes + cost });
    this.#bytes += cost;
    return true;
  }

  find(id: string): Uint8Array | undefined {
    this.#forgetOld();
    return this.#entries.get(id)?.sealed;
  }

  drop(id: string): boolean {
    this.#forgetOld();
    return this.#remove(id);
  }

  /** Also without anybody asking, so that what is over leaves the memory. */
  prune(): void {
    this.#forgetOld();
  }

  #forgetOld(): void {
    const nowMs = this.#clock.now();
    for (const [id, { expiresAtMs }] of this.#entries) {
      if (nowMs < expiresAtMs) return;
      this.#remove(id);
    }
  }

  #remove(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#entries.delete(id);
    const cost = costOf(entry.sealed);
    this.#bytes -= cost;
    const share = this.#shares.get(entry.address);
    if (share === undefined || share.forms <= 1) this.#shares.delete(entry.address);
    else this.#shares.set(entry.address, { forms: share.forms - 1, bytes: share.bytes - cost });
    return true;
  }
}

function costOf(sealed: Uint8Array): number {
  return sealed.byteLength + overheadBytes;
}

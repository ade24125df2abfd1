/** Sets of networks ("10.0.0.0/8", "::1") asked about textual addresses, with a bounded memory of recent answers. */
import { BlockList, isIP } from 'node:net';

const maxRemembered = 4_096;

export class AddressSet {
  readonly #list = new BlockList();
  readonly #remembered = new Map<string, boolean>();
  readonly isEmpty: boolean;

  /** Throws a RangeError that names the first entry that is no address or network. */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const fault = networkFault(network);
      if (fault !== undefined) throw new RangeError(fault);
      const [address, bits] = network.split('/') as [string, string | undefined];
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
    this.isEmpty = networks.length === 0;
  }

  /** Hot path: `bench/forward-auth.ts`. Text that is no address is in no set. */
  has(address: string): boolean {
    if (this.isEmpty) return false;
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    const version = isIP(address);
    const found = version !== 0 && this.#list.check(address, version === 6 ? 'ipv6' : 'ipv4');
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(address, found);
    return found;
  }
}

/** One sentence that says what is wrong with a configured network, or `undefined`. */
export function networkFault(network: string): string | undefined {
  const [address = '', bits, ...rest] = network.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return `"${network}" is no address and no network such as 10.0.0.0/8`;
  if (bits === undefined) return undefined;
  const max = version === 6 ? 128 : 32;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= max ? undefined : `"${network}": expected /0 to /${max}`;
}

/** `::ffff:192.0.2.1` and `192.0.2.1` are one client (RFC 4291 section 2.5.5.2); zone indexes say nothing about it. */
export function plainAddress(address: string): string {
  if (address.charCodeAt(0) !== 58) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

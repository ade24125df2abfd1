/**
 * How many connections one client address may hold open at a listener. IPv6 clients are told apart by their /64, which
 * one household or machine has for itself. Knows addresses, nothing of what is spoken.
 */
import type { Socket } from 'node:net';
import { plainAddress } from '../lib/address-set.ts';

export interface ConnectionQuotaOptions {
  readonly perAddress: number;
  /** Front proxies: their connections are other people's. */
  readonly isExempt: (address: string) => boolean;
  /** Told once when an address reaches its quota, again only after it has fallen to half of it. */
  readonly onReached: (client: string) => void;
}

interface Holdings {
  readonly sockets: Set<Socket>;
  isReported: boolean;
}

export class ConnectionQuota {
  readonly #options: ConnectionQuotaOptions;
  readonly #held = new Map<string, Holdings>();

  constructor(options: ConnectionQuotaOptions) {
    this.#options = options;
  }

  /** `false`: one too many. Otherwise it counts until it closes, once however often it is shown. */
  admit(socket: Socket): boolean {
    const { perAddress, isExempt, onReached } = this.#options;
    // A unix socket: whoever may open its file is on this machine. Or it is closed already.
    if (socket.remoteAddress === undefined) return true;
    const address = plainAddress(socket.remoteAddress);
    if (isExempt(address)) return true;
    const client = clientOf(address);
    const holdings = this.#held.get(client) ?? { sockets: new Set(), isReported: false };
    const { sockets } = holdings;
    if (sockets.has(socket)) return true;
    if (sockets.size >= perAddress) {
      if (!holdings.isReported) onReached(client);
      holdings.isReported = true;
      return false;
    }
    this.#held.set(client, holdings);
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size <= perAddress / 2) holdings.isReported = false;
      if (sockets.size === 0) this.#held.delete(client);
    });
    return true;
  }
}

/** The address, of IPv6 its first four groups. */
export function clientOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%', 1)[0] as string).split('::');
  const groups = head === '' ? [] : head.split(':');
  // What "::" leaves out are zeros, as many as eight groups need.
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  const whole = [
    ...groups,
    ...Array.from({ length: Math.max(0, missing) }, () => '0'),
    ...(tail ?? '').split(':'),
  ];
  return `${whole
    .slice(0, 4)
    .map((group) => Number.parseInt(group || '0', 16).toString(16))
    .join(':')}::/64`;
}

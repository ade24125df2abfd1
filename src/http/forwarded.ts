/** Trust in forwarded fields: the walk from the peer to the client, right to left, through trusted proxies only. */
import { isIP } from 'node:net';
import { type AddressSet, plainAddress } from '../lib/address-set.ts';

/**
 * Hot path: `bench/forward-auth.ts`. The address nearest to the client that a trusted proxy vouches for.
 * `forwardedFor` is believed only as far as each hop to its right is trusted; an entry that is no address ends the walk.
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trusted: AddressSet): string {
  let address = plainAddress(peer);
  if (forwardedFor === undefined || !trusted.has(address)) return address;
  let end = forwardedFor.length;
  while (end > 0) {
    const comma = forwardedFor.lastIndexOf(',', end - 1);
    const hop = hopAddress(forwardedFor.slice(comma + 1, end).trim());
    if (hop === undefined) return address;
    address = hop;
    if (!trusted.has(address)) return address;
    end = comma;
  }
  return address;
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`. */
function hopAddress(text: string): string | undefined {
  if (isIP(text) !== 0) return plainAddress(text);
  const bare = text.startsWith('[')
    ? /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1]
    : /^([\d.]+):\d{1,5}$/.exec(text)?.[1];
  return bare !== undefined && isIP(bare) !== 0 ? plainAddress(bare) : undefined;
}

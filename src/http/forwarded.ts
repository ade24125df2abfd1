/** Trust in forwarded fields: the walk from the peer to the client, right to left, through trusted proxies only. */
import { isIP } from 'node:net';
import { type AddressSet, plainAddress } from '../lib/address-set.ts';
import { parseForwarded } from './forwarded-field.ts';

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

/** What a request's two lists of hops say, for a peer that is a trusted proxy. */
export interface HopFields {
  /** `X-Forwarded-For`, all fields joined. */
  readonly forwardedFor: string | undefined;
  /** `Forwarded` (RFC 7239), all fields joined. */
  readonly forwarded: string | undefined;
}

/**
 * As `clientAddress`, by either field. `undefined`: they name different clients. A proxy writes one of the two and
 * hands the other on as the client made it up; which is which cannot be seen, and each could open or leave a network
 * of a rule, so neither is believed.
 */
export function agreedClientAddress(
  peer: string,
  { forwardedFor, forwarded }: HopFields,
  trusted: AddressSet,
): string | undefined {
  const byList = clientAddress(peer, forwardedFor, trusted);
  if (forwarded === undefined) return byList;
  const hops = parseForwarded(forwarded);
  // It may tell of the scheme alone: then it says nothing about the client.
  if (hops !== undefined && !hops.some((hop) => hop.has('for'))) return byList;
  const nodes = (hops ?? []).map((hop) => hopText(hop.get('for'))).join(',');
  const byElements = clientAddress(peer, nodes, trusted);
  return forwardedFor === undefined || byList === byElements ? byElements : undefined;
}

/** A node name that is no address (`unknown`, `_hidden`, missing) ends the walk; none may bring a comma of its own. */
function hopText(node: string | undefined): string {
  return node === undefined || node.includes(',') ? 'unknown' : node;
}

/** Remembers what was found for the lists that trusted proxies send again and again: one client, many requests. */
export class ClientAddresses {
  readonly #trusted: AddressSet;
  readonly #byPeer = new Map<string, Map<string, string>>();

  constructor(trusted: AddressSet) {
    this.#trusted = trusted;
  }

  /** Hot path: `bench/forward-auth.ts`. As `agreedClientAddress`; `peer` is a trusted proxy. */
  of(peer: string, fields: HopFields): string | undefined {
    const { forwardedFor, forwarded } = fields;
    if (forwardedFor === undefined || forwarded !== undefined || forwardedFor.length > maxRememberedLength) {
      return agreedClientAddress(peer, fields, this.#trusted);
    }
    const known = this.#byPeer.get(peer)?.get(forwardedFor);
    if (known !== undefined) return known;
    const address = clientAddress(peer, forwardedFor, this.#trusted);
    const lists = this.#byPeer.get(peer) ?? new Map<string, string>();
    // Behind a busy proxy the clients change; what is found again costs one walk.
    if (lists.size >= maxRememberedLists) lists.clear();
    this.#byPeer.set(peer, lists.set(forwardedFor, address));
    return address;
  }
}

const maxRememberedLength = 64;
const maxRememberedLists = 4_096;

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`. */
function hopAddress(text: string): string | undefined {
  if (isIP(text) !== 0) return plainAddress(text);
  const bare = text.startsWith('[')
    ? /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1]
    : /^([\d.]+):\d{1,5}$/.exec(text)?.[1];
  return bare !== undefined && isIP(bare) !== 0 ? plainAddress(bare) : undefined;
}

/**
 * Removes from a client's request what only the gateway may say. Names are compared folded, because servers fold too:
 * CGI makes `Remote-User`, `remote_user` and `Remote.User` one variable (RFC 3875 section 4.1.18).
 */

/** Lower case, every character outside a-z and 0-9 becomes `-`. */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/** Fields that say something about the request itself; the gateway sets those it forwards. */
const forwardedFamily = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-uri',
  'x-forwarded-method',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-real-ip',
  'x-original-url',
  'x-original-uri',
  'x-original-method',
  'x-original-host',
  'x-rewrite-url',
  // A method that differs from the judged one.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
];

/** RFC 9110 section 7.6.1, and the fields that describe one connection only. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

export type HeaderFate = 'keep' | 'drop' | 'alias';

const maxRemembered = 1_024;

export class HeaderStrip {
  readonly #owned: ReadonlySet<string>;
  readonly #exact: ReadonlySet<string>;
  readonly #remembered = new Map<string, HeaderFate>();

  /** `identityNames`: every header the gateway itself sends to this application. */
  constructor(identityNames: readonly string[], forwardAuthorization: boolean) {
    this.#owned = new Set([...forwardedFamily, ...identityNames.map(foldHeaderName)]);
    this.#exact = new Set([
      ...hopByHop,
      'host',
      'expect',
      'cookie',
      ...(forwardAuthorization ? [] : ['authorization']),
    ]);
  }

  /**
   * Hot path: `bench/proxy.ts`. `drop`: hop-by-hop, or set anew by the gateway. `alias`: another spelling of a name
   * that only the gateway may use. Unknown names are remembered, a bounded number of them.
   */
  fate(name: string): HeaderFate {
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const fate = this.#judge(name);
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(name, fate);
    return fate;
  }

  #judge(name: string): HeaderFate {
    const lower = name.toLowerCase();
    const folded = foldHeaderName(name);
    if (this.#exact.has(lower)) return 'drop';
    if (this.#owned.has(folded)) return folded === lower ? 'drop' : 'alias';
    // Twins of what the gateway consumes itself: `proxy_authorization`, `transfer_encoding`, `host_` …
    return hopByHop.has(folded) ||
      folded === 'host' ||
      (folded === 'content-length' && lower !== 'content-length')
      ? 'alias'
      : 'keep';
  }
}

/** Names listed in `Connection`: hop-by-hop too (RFC 9110 section 7.6.1). Lower case. */
export function connectionOptions(value: string): readonly string[] {
  return value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}

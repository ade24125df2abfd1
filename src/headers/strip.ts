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

export type HeaderFate = 'keep' | 'drop' | 'alias';

const maxRemembered = 1_024;

export class HeaderStrip {
  readonly #owned: ReadonlySet<string>;
  readonly #consumed: ReadonlySet<string>;
  readonly #remembered = new Map<string, HeaderFate>();

  /**
   * `identityNames`: every header the gateway itself sends to this application.
   * `consumed`: lower-case names that end at the gateway (hop-by-hop fields, `host`, `cookie`, …).
   */
  constructor(identityNames: readonly string[], consumed: Iterable<string>) {
    this.#owned = new Set([...forwardedFamily, ...identityNames.map(foldHeaderName)]);
    this.#consumed = new Set(consumed);
  }

  /**
   * Hot path: `bench/proxy.ts`. `drop`: ends here, or is set anew by the gateway. `alias`: another spelling of a name
   * that only the gateway may use. Answers are remembered, a bounded number of them.
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
    if (this.#consumed.has(lower)) return 'drop';
    const folded = foldHeaderName(name);
    if (this.#owned.has(folded)) return folded === lower ? 'drop' : 'alias';
    // Twins of what ends here and of framing: `transfer_encoding`, `content_length`, `host.`
    const isTwin = folded !== lower && (this.#consumed.has(folded) || folded === 'content-length');
    return isTwin ? 'alias' : 'keep';
  }
}

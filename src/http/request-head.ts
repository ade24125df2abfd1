/**
 * The fields of a request head that the gateway itself reads, taken from the raw list in one pass.
 * Node's joined header object hides duplicates; here a second occurrence of a single-valued field is remembered.
 */

/** Fields that mean something only once; a second one is doubt about what the client or proxy meant. */
export type SingleField =
  | 'host'
  | 'authorization'
  | 'contentLength'
  | 'contentType'
  | 'transferEncoding'
  | 'origin'
  | 'forwardedProto'
  | 'forwardedHost'
  | 'forwardedMethod'
  | 'forwardedUri'
  | 'originalUrl'
  | 'originalUri'
  | 'originalMethod';

export class RequestHead {
  host: string | undefined = undefined;
  /** All Cookie fields joined as RFC 9113 section 8.2.3 joins them. */
  cookie = '';
  authorization: string | undefined = undefined;
  accept: string | undefined = undefined;
  acceptLanguage: string | undefined = undefined;
  /** Only from a reader that was told to read it. */
  userAgent: string | undefined = undefined;
  contentLength: string | undefined = undefined;
  contentType: string | undefined = undefined;
  transferEncoding: string | undefined = undefined;
  origin: string | undefined = undefined;
  secFetchMode: string | undefined = undefined;
  secFetchSite: string | undefined = undefined;
  requestedWith: string | undefined = undefined;
  /** All Forwarded fields joined, as all X-Forwarded-For fields below. */
  forwarded: string | undefined = undefined;
  forwardedFor: string | undefined = undefined;
  forwardedProto: string | undefined = undefined;
  forwardedHost: string | undefined = undefined;
  forwardedMethod: string | undefined = undefined;
  forwardedUri: string | undefined = undefined;
  originalUrl: string | undefined = undefined;
  originalUri: string | undefined = undefined;
  originalMethod: string | undefined = undefined;
  /** Names of single-valued fields that came more than once; `undefined` when none did. */
  duplicates: Set<SingleField> | undefined = undefined;

  isDuplicate(field: SingleField): boolean {
    return this.duplicates !== undefined && this.duplicates.has(field);
  }
}

type Put = (head: RequestHead, value: string) => unknown;

/**
 * What a field does to the head, by its lower-case name. Each row writes its own property: with a table of property
 * names, written by one function, reading a head costs half as much again.
 */
const puts: Readonly<Record<string, Put>> = {
  // The first one counts, a second one is doubt.
  host: (head, value) => (head.host = single(head, 'host', head.host, value)),
  authorization: (head, value) =>
    (head.authorization = single(head, 'authorization', head.authorization, value)),
  'content-length': (head, value) =>
    (head.contentLength = single(head, 'contentLength', head.contentLength, value)),
  'content-type': (head, value) => (head.contentType = single(head, 'contentType', head.contentType, value)),
  'transfer-encoding': (head, value) =>
    (head.transferEncoding = single(head, 'transferEncoding', head.transferEncoding, value)),
  origin: (head, value) => (head.origin = single(head, 'origin', head.origin, value)),
  'x-forwarded-proto': (head, value) =>
    (head.forwardedProto = single(head, 'forwardedProto', head.forwardedProto, value)),
  'x-forwarded-host': (head, value) =>
    (head.forwardedHost = single(head, 'forwardedHost', head.forwardedHost, value)),
  'x-forwarded-method': (head, value) =>
    (head.forwardedMethod = single(head, 'forwardedMethod', head.forwardedMethod, value)),
  'x-forwarded-uri': (head, value) =>
    (head.forwardedUri = single(head, 'forwardedUri', head.forwardedUri, value)),
  'x-original-url': (head, value) =>
    (head.originalUrl = single(head, 'originalUrl', head.originalUrl, value)),
  'x-original-uri': (head, value) =>
    (head.originalUri = single(head, 'originalUri', head.originalUri, value)),
  'x-original-method': (head, value) =>
    (head.originalMethod = single(head, 'originalMethod', head.originalMethod, value)),

  // Several fields are one list (RFC 9110 section 5.3).
  cookie: (head, value) => {
    head.cookie = head.cookie === '' ? value : `${head.cookie}; ${value}`;
  },
  accept: (head, value) => (head.accept = joined(head.accept, value)),
  forwarded: (head, value) => (head.forwarded = joined(head.forwarded, value)),
  'x-forwarded-for': (head, value) => (head.forwardedFor = joined(head.forwardedFor, value)),

  // The last one counts.
  'accept-language': (head, value) => (head.acceptLanguage = value),
  'user-agent': (head, value) => (head.userAgent = value),
  'sec-fetch-mode': (head, value) => (head.secFetchMode = value),
  'sec-fetch-site': (head, value) => (head.secFetchSite = value),
  'x-requested-with': (head, value) => (head.requestedWith = value),
};

/** Reads heads. Remembers spellings of names it has seen, so that no name is folded twice. */
export class HeadReader {
  /** `null`: a field that nobody reads. */
  readonly #putBySpelling = new Map<string, Put | null>();
  readonly #readsUserAgent: boolean;

  constructor(options: { readonly readsUserAgent?: boolean } = {}) {
    this.#readsUserAgent = options.readsUserAgent === true;
  }

  /** Hot path: `bench/forward-auth.ts`. `raw` is Node's flat list of names and values. */
  read(raw: readonly string[]): RequestHead {
    const head = new RequestHead();
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i] as string;
      const known = this.#putBySpelling.get(name);
      const put = known === undefined ? this.#learn(name) : known;
      if (put !== null) put(head, raw[i + 1] as string);
    }
    return head;
  }

  #learn(name: string): Put | null {
    const lower = name.toLowerCase();
    const isRead = Object.hasOwn(puts, lower) && (this.#readsUserAgent || lower !== 'user-agent');
    const put = isRead ? (puts[lower] as Put) : null;
    // Clients make up names without end: beyond the bound what was learnt is forgotten.
    if (this.#putBySpelling.size >= maxSpellings) this.#putBySpelling.clear();
    this.#putBySpelling.set(name, put);
    return put;
  }
}

const maxSpellings = 1_024;

/** The first value stays; that there was a second is remembered. */
function single(head: RequestHead, field: SingleField, known: string | undefined, value: string): string {
  if (known === undefined) return value;
  (head.duplicates ??= new Set()).add(field);
  return known;
}

function joined(known: string | undefined, value: string): string {
  return known === undefined ? value : `${known}, ${value}`;
}

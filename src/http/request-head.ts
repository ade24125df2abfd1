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
  | 'forwardedFor'
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

/** What each field name means here, by its lower-case spelling. */
const slots = {
  host: 1,
  cookie: 2,
  authorization: 3,
  accept: 4,
  'accept-language': 5,
  'content-length': 6,
  'content-type': 7,
  'transfer-encoding': 8,
  origin: 9,
  'sec-fetch-mode': 10,
  'sec-fetch-site': 11,
  'x-requested-with': 12,
  forwarded: 13,
  'x-forwarded-for': 14,
  'x-forwarded-proto': 15,
  'x-forwarded-host': 16,
  'x-forwarded-method': 17,
  'x-forwarded-uri': 18,
  'x-original-url': 19,
  'x-original-uri': 20,
  'x-original-method': 21,
  'user-agent': 22,
} as const;
const noSlot = 0;
type Slot = (typeof slots)[keyof typeof slots] | typeof noSlot;

/** Reads heads. Remembers spellings of names it has seen, so that no name is folded twice. */
export class HeadReader {
  readonly #slotBySpelling = new Map<string, Slot>();
  readonly #readsUserAgent: boolean;

  constructor(options: { readonly readsUserAgent?: boolean } = {}) {
    this.#readsUserAgent = options.readsUserAgent === true;
  }

  /** Hot path: `bench/forward-auth.ts`. `raw` is Node's flat list of names and values. */
  read(raw: readonly string[]): RequestHead {
    const head = new RequestHead();
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i] as string;
      const slot = this.#slotBySpelling.get(name) ?? this.#learn(name);
      if (slot !== noSlot) put(head, slot, raw[i + 1] as string);
    }
    return head;
  }

  #learn(name: string): Slot {
    const lower = name.toLowerCase();
    const isRead = Object.hasOwn(slots, lower) && (this.#readsUserAgent || lower !== 'user-agent');
    const slot = isRead ? slots[lower as keyof typeof slots] : noSlot;
    // Clients make up names without end: beyond the bound what was learnt is forgotten.
    if (this.#slotBySpelling.size >= maxSpellings) this.#slotBySpelling.clear();
    this.#slotBySpelling.set(name, slot);
    return slot;
  }
}

const maxSpellings = 1_024;

function put(head: RequestHead, slot: Exclude<Slot, typeof noSlot>, value: string): void {
  switch (slot) {
    case slots.host:
      head.host = single(head, 'host', head.host, value);
      break;
    case slots.cookie:
      head.cookie = head.cookie === '' ? value : `${head.cookie}; ${value}`;
      break;
    case slots.authorization:
      head.authorization = single(head, 'authorization', head.authorization, value);
      break;
    case slots.accept:
      head.accept = joined(head.accept, value);
      break;
    case slots['accept-language']:
      head.acceptLanguage = value;
      break;
    case slots['user-agent']:
      head.userAgent = value;
      break;
    case slots['content-length']:
      head.contentLength = single(head, 'contentLength', head.contentLength, value);
      break;
    case slots['content-type']:
      head.contentType = single(head, 'contentType', head.contentType, value);
      break;
    case slots['transfer-encoding']:
      head.transferEncoding = single(head, 'transferEncoding', head.transferEncoding, value);
      break;
    case slots.origin:
      head.origin = single(head, 'origin', head.origin, value);
      break;
    case slots['sec-fetch-mode']:
      head.secFetchMode = value;
      break;
    case slots['sec-fetch-site']:
      head.secFetchSite = value;
      break;
    case slots['x-requested-with']:
      head.requestedWith = value;
      break;
    // Several fields are one list (RFC 9110 section 5.3); the walk goes from its end.
    case slots.forwarded:
      head.forwarded = joined(head.forwarded, value);
      break;
    case slots['x-forwarded-for']:
      head.forwardedFor = joined(head.forwardedFor, value);
      break;
    case slots['x-forwarded-proto']:
      head.forwardedProto = single(head, 'forwardedProto', head.forwardedProto, value);
      break;
    case slots['x-forwarded-host']:
      head.forwardedHost = single(head, 'forwardedHost', head.forwardedHost, value);
      break;
    case slots['x-forwarded-method']:
      head.forwardedMethod = single(head, 'forwardedMethod', head.forwardedMethod, value);
      break;
    case slots['x-forwarded-uri']:
      head.forwardedUri = single(head, 'forwardedUri', head.forwardedUri, value);
      break;
    case slots['x-original-url']:
      head.originalUrl = single(head, 'originalUrl', head.originalUrl, value);
      break;
    case slots['x-original-uri']:
      head.originalUri = single(head, 'originalUri', head.originalUri, value);
      break;
    case slots['x-original-method']:
      head.originalMethod = single(head, 'originalMethod', head.originalMethod, value);
      break;
  }
}

/** The first value stays; that there was a second is remembered. */
function single(head: RequestHead, field: SingleField, known: string | undefined, value: string): string {
  if (known === undefined) return value;
  (head.duplicates ??= new Set()).add(field);
  return known;
}

function joined(known: string | undefined, value: string): string {
  return known === undefined ? value : `${known}, ${value}`;
}

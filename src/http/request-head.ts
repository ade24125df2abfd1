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

/**
 * Hot path: `bench/forward-auth.ts`. `raw` is Node's flat list of names and values.
 * Most names are passed over by their length alone.
 */
export function readHead(raw: readonly string[]): RequestHead {
  const head = new RequestHead();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    switch (name.length) {
      case 4:
        if (is(name, 'host')) take(head, 'host', value);
        break;
      case 6:
        if (is(name, 'cookie')) head.cookie = head.cookie === '' ? value : `${head.cookie}; ${value}`;
        else if (is(name, 'accept'))
          head.accept = head.accept === undefined ? value : `${head.accept}, ${value}`;
        else if (is(name, 'origin')) take(head, 'origin', value);
        break;
      case 9:
        if (is(name, 'forwarded'))
          head.forwarded = head.forwarded === undefined ? value : `${head.forwarded}, ${value}`;
        break;
      case 12:
        if (is(name, 'content-type')) take(head, 'contentType', value);
        break;
      case 13:
        if (is(name, 'authorization')) take(head, 'authorization', value);
        break;
      case 14:
        if (is(name, 'sec-fetch-mode')) head.secFetchMode = value;
        else if (is(name, 'sec-fetch-site')) head.secFetchSite = value;
        else if (is(name, 'content-length')) take(head, 'contentLength', value);
        else if (is(name, 'x-original-url')) take(head, 'originalUrl', value);
        else if (is(name, 'x-original-uri')) take(head, 'originalUri', value);
        break;
      case 15:
        if (is(name, 'x-forwarded-for')) {
          // Several fields are one list (RFC 9110 section 5.3); the walk goes from its end.
          head.forwardedFor = head.forwardedFor === undefined ? value : `${head.forwardedFor}, ${value}`;
        } else if (is(name, 'x-forwarded-uri')) take(head, 'forwardedUri', value);
        else if (is(name, 'accept-language')) head.acceptLanguage = value;
        break;
      case 16:
        if (is(name, 'x-forwarded-host')) take(head, 'forwardedHost', value);
        else if (is(name, 'x-requested-with')) head.requestedWith = value;
        break;
      case 17:
        if (is(name, 'x-forwarded-proto')) take(head, 'forwardedProto', value);
        else if (is(name, 'x-original-method')) take(head, 'originalMethod', value);
        else if (is(name, 'transfer-encoding')) take(head, 'transferEncoding', value);
        break;
      case 18:
        if (is(name, 'x-forwarded-method')) take(head, 'forwardedMethod', value);
        break;
      default:
    }
  }
  return head;
}

function is(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower;
}

function take(head: RequestHead, field: SingleField, value: string): void {
  if (head[field] === undefined) head[field] = value;
  else (head.duplicates ??= new Set()).add(field);
}

/**
 * A request as the parser makes it. Node builds an object of all fields of every request to see whether one of three is
 * among them; here a look at the raw ones answers that. Whoever handles the request gets all fields.
 */
import { type IncomingHttpHeaders, IncomingMessage } from 'node:http';

const allFields = Object.getOwnPropertyDescriptor(IncomingMessage.prototype, 'headers');
const noFields: IncomingHttpHeaders = Object.freeze({});

export class ParsedRequest extends IncomingMessage {
  #isHandedOver = false;

  static {
    // An accessor, as in Node; TypeScript knows only that it is a property.
    Object.defineProperty(ParsedRequest.prototype, 'headers', {
      get(this: ParsedRequest): IncomingHttpHeaders {
        if (!this.#isHandedOver && !hasFramingField(this.rawHeaders)) return noFields;
        return allFields?.get?.call(this) as IncomingHttpHeaders;
      },
      set(this: ParsedRequest, value: IncomingHttpHeaders) {
        allFields?.set?.call(this, value);
      },
    });
  }

  /** Hot path: `bench/forward-auth.ts`. From now on `headers` holds all fields. */
  handOver(): void {
    this.#isHandedOver = true;
  }
}

/** Whether there is a field that decides how Node goes on. */
function hasFramingField(raw: readonly string[]): boolean {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    // Few lengths are looked at, since most fields have another one.
    switch (name.length) {
      case 2:
      case 6:
      case 7:
      case 14:
      case 17:
        if (framingFields.has(name.toLowerCase())) return true;
    }
  }
  return false;
}

const framingFields: ReadonlySet<string> = new Set([
  'te',
  'expect',
  'upgrade',
  'content-length',
  'transfer-encoding',
]);

/**
 * Reads Envoy's `envoy.service.auth.v3.CheckRequest`: the fields that a decision needs, by the numbers of the public
 * v3 API. Everything else is passed over unread, so that later versions of Envoy are understood too.
 *
 *   CheckRequest        attributes = 1
 *   AttributeContext    source = 1, request = 4
 *   Peer                address = 1;  Address: socket_address = 1;  SocketAddress: address = 2
 *   Request             http = 2
 *   HttpRequest         method = 2, headers = 3, path = 4, host = 5, scheme = 6, query = 7, header_map = 13
 *   headers entry       key = 1, value = 2
 *   HeaderMap           headers = 1;  HeaderValue: key = 1, value = 2, raw_value = 3
 */
import { Reader } from 'protobufjs/minimal.js';

export class CheckRequest {
  /** Address of whoever is connected to Envoy; `undefined` when it is no socket address. */
  source: string | undefined = undefined;
  method = '';
  path = '';
  host = '';
  scheme = '';
  query = '';
  /**
   * Flat list of names and values, in order, a repeated name repeated. Never an object: a header called `__proto__`
   * is a header and nothing else. Bytes that are not UTF-8 became U+FFFD.
   */
  readonly headers: string[] = [];
}

/** Hot path: `bench/grpc.ts`. `undefined`: the bytes are no such message. */
export function decodeCheckRequest(message: Buffer): CheckRequest | undefined {
  const request = new CheckRequest();
  try {
    readFields(Reader.create(message), message.length, request, readCheckRequest);
  } catch (error) {
    // protobufjs says Error and RangeError about bytes it cannot read; a TypeError is a defect of this file.
    if (error instanceof TypeError) throw error;
    return undefined;
  }
  return request;
}

/** Reads the field after `tag` and answers true, or leaves it to be skipped. `end`: where its message ends. */
type FieldReader = (reader: Reader, tag: number, end: number, request: CheckRequest) => boolean;

/** Tag of a field that holds a length and bytes: text, bytes or a message (wire type 2). */
const field = (number: number): number => (number << 3) | 2;

function readFields(reader: Reader, end: number, request: CheckRequest, read: FieldReader): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!read(reader, tag, end, request)) skip(reader, tag);
  }
  if (reader.pos !== end) throw new RangeError('a field ends outside its message');
}

/** Where the message that starts here ends. */
function endOf(reader: Reader, outerEnd: number): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > outerEnd) throw new RangeError('a message ends outside the one around it');
  return end;
}

/** Groups (wire types 3 and 4) are not part of proto3, and nest without a limit. */
function skip(reader: Reader, tag: number): void {
  const wireType = tag & 7;
  if (tag >>> 3 === 0 || wireType === 3 || wireType === 4) throw new RangeError('no field of proto3');
  reader.skipType(wireType);
}

/** A reader of the one field of a message that leads further in. */
function inside(number: number, read: FieldReader): FieldReader {
  const wanted = field(number);
  return (reader, tag, end, request) => {
    if (tag !== wanted) return false;
    readFields(reader, endOf(reader, end), request, read);
    return true;
  };
}

/** An entry of the map `headers`, or a HeaderValue: they differ by `raw_value` only. */
function readHeader(reader: Reader, outerEnd: number, { headers }: CheckRequest): void {
  const end = endOf(reader, outerEnd);
  let name = '';
  let value = '';
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === field(1)) name = reader.string();
    // With encode_raw_headers Envoy leaves `value` empty and fills `raw_value`.
    else if (tag === field(2) || tag === field(3)) value = reader.string() || value;
    else skip(reader, tag);
  }
  if (reader.pos !== end) throw new RangeError('a field ends outside its header');
  headers.push(name, value);
}

const readHeaderMap: FieldReader = (reader, tag, end, request) => {
  if (tag !== field(1)) return false;
  readHeader(reader, end, request);
  return true;
};

const readHttp: FieldReader = (reader, tag, end, request) => {
  switch (tag) {
    case field(2):
      request.method = reader.string();
      return true;
    case field(3):
      readHeader(reader, end, request);
      return true;
    case field(4):
      request.path = reader.string();
      return true;
    case field(5):
      request.host = reader.string();
      return true;
    case field(6):
      request.scheme = reader.string();
      return true;
    case field(7):
      request.query = reader.string();
      return true;
    case field(13):
      readFields(reader, endOf(reader, end), request, readHeaderMap);
      return true;
    default:
      return false;
  }
};

const readSocketAddress: FieldReader = (reader, tag, _end, request) => {
  if (tag !== field(2)) return false;
  request.source = reader.string();
  return true;
};

const readSource = inside(1, inside(1, inside(1, readSocketAddress)));
const readRequest = inside(4, inside(2, readHttp));

const readAttributes: FieldReader = (reader, tag, end, request) =>
  readRequest(reader, tag, end, request) || readSource(reader, tag, end, request);

const readCheckRequest = inside(1, readAttributes);

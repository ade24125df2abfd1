/**
 * Envoy's side of external authorization: a real gRPC client (grpc-js) with the messages of the public v3 API, encoded
 * and decoded by protobufjs from their descriptions, so that no test shares a line with the code under test.
 */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const { root } = protobuf.parse(`
  syntax = "proto3";
  package envoy;
  message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
  message HeaderMap { repeated HeaderValue headers = 1; }
  message BoolValue { bool value = 1; }
  enum HeaderAppendAction {
    APPEND_IF_EXISTS_OR_ADD = 0; ADD_IF_ABSENT = 1; OVERWRITE_IF_EXISTS_OR_ADD = 2; OVERWRITE_IF_EXISTS = 3;
  }
  message HeaderValueOption { HeaderValue header = 1; BoolValue append = 2; HeaderAppendAction append_action = 3; }
  message SocketAddress {
    int32 protocol = 1; string address = 2; oneof port_specifier { uint32 port_value = 3; string named_port = 4; }
  }
  message Pipe { string path = 1; uint32 mode = 2; }
  message Address { oneof address { SocketAddress socket_address = 1; Pipe pipe = 2; } }
  message Timestamp { int64 seconds = 1; int32 nanos = 2; }
  message Peer {
    Address address = 1; string service = 2; map<string, string> labels = 3; string principal = 4; string certificate = 5;
  }
  message HttpRequest {
    string id = 1; string method = 2; map<string, string> headers = 3; HeaderMap header_map = 13; string path = 4;
    string host = 5; string scheme = 6; string query = 7; string fragment = 8; int64 size = 9; string protocol = 10;
    string body = 11; bytes raw_body = 12;
  }
  message Request { Timestamp time = 1; HttpRequest http = 2; }
  message TLSSession { string sni = 1; }
  message AttributeContext {
    Peer source = 1; Peer destination = 2; Request request = 4; map<string, string> context_extensions = 10;
    TLSSession tls_session = 12;
  }
  message CheckRequest { AttributeContext attributes = 1; }
  message Status { int32 code = 1; string message = 2; }
  message HttpStatus { int32 code = 1; }
  message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
  message OkHttpResponse {
    repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5;
    repeated HeaderValueOption response_headers_to_add = 6;
  }
  message CheckResponse {
    Status status = 1; oneof http_response { DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }
  }
`);
const requestType = root.lookupType('envoy.CheckRequest');
const responseType = root.lookupType('envoy.CheckResponse');

export const checkMethod = '/envoy.service.auth.v3.Authorization/Check';

type Pairs = readonly (readonly [name: string, value: string])[];

/** A request as Envoy sees it. */
export interface Asked {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly scheme?: string;
  /** The map `headers`, or with `raw` the list `header_map` with bytes. */
  readonly headers?: Pairs;
  readonly raw?: boolean;
  /** Address of the client connected to Envoy; `null`: none is told. */
  readonly source?: string | null;
}

export function encodeCheckRequest({
  method = 'GET',
  host = 'app.example.test',
  path = '/',
  scheme = 'https',
  headers = [],
  raw = false,
  source = '198.51.100.7',
}: Asked): Buffer {
  const http = {
    id: '4711',
    method,
    host,
    path,
    scheme,
    size: -1,
    protocol: 'HTTP/1.1',
    ...(raw
      ? {
          headerMap: {
            headers: headers.map(([key, value]) => ({ key, rawValue: Buffer.from(value, 'latin1') })),
          },
        }
      : { headers: Object.fromEntries(headers) }),
  };
  const address = { socketAddress: { protocol: 0, address: source, portValue: 40_000 } };
  const message = {
    attributes: {
      ...(source === null ? {} : { source: { address } }),
      destination: { address: { socketAddress: { address: '203.0.113.1', portValue: 443 } } },
      request: { time: { seconds: 1_700_000_000, nanos: 1 }, http },
      contextExtensions: { route: 'wiki' },
      tlsSession: { sni: host },
    },
  };
  const fault = requestType.verify(message);
  if (fault !== null) throw new Error(fault);
  return Buffer.from(requestType.encode(requestType.fromObject(message)).finish());
}

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append: { readonly value: boolean } | null;
  readonly appendAction: string;
}

export interface CheckAnswer {
  /** `google.rpc.Status.code`: 0 lets the request pass. */
  readonly code: number;
  /** Of the answer the visitor gets; `undefined` when the request passes. */
  readonly status: number | undefined;
  /** Set on the request to the application, or on the answer. */
  readonly headers: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  readonly body: string;
}

export function decodeCheckResponse(message: Buffer): CheckAnswer {
  const { status, deniedResponse, okResponse } = responseType.toObject(responseType.decode(message), {
    defaults: true,
    arrays: true,
    enums: String,
  }) as {
    status: { code: number };
    deniedResponse?: { status: { code: number }; headers: HeaderOption[]; body: string };
    okResponse?: { headers: HeaderOption[]; headersToRemove: string[] };
  };
  const options = (okResponse ?? deniedResponse)?.headers ?? [];
  for (const { header, append, appendAction } of options) {
    const overwrites = append?.value === false && appendAction === 'OVERWRITE_IF_EXISTS_OR_ADD';
    if (!overwrites) throw new Error(`${header.key} is appended to what the client sent`);
  }
  return {
    code: status.code,
    status: deniedResponse?.status.code,
    headers: Object.fromEntries(options.map(({ header }) => [header.key, header.value])),
    remove: okResponse?.headersToRemove ?? [],
    body: deniedResponse?.body ?? '',
  };
}

/** Envoy's client: one HTTP/2 connection, as many calls at once as are made. */
export class Envoy implements Disposable {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  async check(asked: Asked): Promise<CheckAnswer> {
    return await this.checkMessage(encodeCheckRequest(asked));
  }

  async checkMessage(message: Buffer): Promise<CheckAnswer> {
    return decodeCheckResponse(await this.call(message));
  }

  /** Rejects with the ServiceError of grpc-js when the call ends with another status than OK. */
  async call(message: Buffer, method = checkMethod): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#client.makeUnaryRequest(
      method,
      (sent: Buffer) => sent,
      (received) => received,
      message,
      new Metadata(),
      { deadline: Date.now() + 15_000 },
      (error: ServiceError | null, answer?: Buffer) => {
        if (error === null) resolve(answer as Buffer);
        else reject(error);
      },
    );
    return await promise;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** Envoy's ext_authz filter over gRPC, replayed with grpc-js: what it asks of the gateway and does with the answer. */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { FrontProxy, ProtectedSite } from './front-proxy.ts';
import {
  envoyEntry,
  envoyManager,
  type Field,
  type Permission,
  type Refusal,
  shipped,
  startReplay,
  valueOf,
  without,
} from './replayed-front-proxies.ts';

/** The fields that matter here, by the numbers of Envoy's public v3 API. */
const { root } = protobuf.parse(`
syntax = "proto3";
message SocketAddress { string address = 2; uint32 port_value = 3; }
message Address { SocketAddress socket_address = 1; }
message Peer { Address address = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message HeaderMap { repeated HeaderValue headers = 1; }
message HttpRequest {
  string id = 1; string method = 2; string path = 4; string host = 5; string scheme = 6; int64 size = 9;
  string protocol = 10; HeaderMap header_map = 13;
}
message Request { HttpRequest http = 2; }
message AttributeContext { Peer source = 1; Peer destination = 2; Request request = 4; }
message CheckRequest { AttributeContext attributes = 1; }
message Status { int32 code = 1; string message = 2; }
message HttpStatus { int32 code = 1; }
message BoolValue { bool value = 1; }
message HeaderValueOption { HeaderValue header = 1; BoolValue append = 2; int32 append_action = 3; }
message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
message OkHttpResponse {
  repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5;
  repeated HeaderValueOption response_headers_to_add = 6;
}
message CheckResponse { Status status = 1; DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }
`);
const checkRequest = root.lookupType('CheckRequest');
const checkResponse = root.lookupType('CheckResponse');

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly appendAction?: number;
}

interface CheckResponse {
  readonly status?: { readonly code?: number };
  readonly deniedResponse?: {
    readonly status?: { readonly code: number };
    readonly headers?: readonly HeaderOption[];
    readonly body?: string;
  };
  readonly okResponse?: {
    readonly headers?: readonly HeaderOption[];
    readonly headersToRemove?: readonly string[];
    readonly responseHeadersToAdd?: readonly HeaderOption[];
  };
}

interface GrpcFile {
  readonly http_filters: readonly [{ readonly typed_config: { readonly failure_mode_allow: boolean } }];
}

/** `authorization`: where the gateway answers gRPC, `127.0.0.1:4713`. */
export async function startEnvoyGrpcReplay(
  site: ProtectedSite & { readonly authorization: string },
): Promise<FrontProxy> {
  const { http_filters: filters } = await shipped<GrpcFile>('envoy/envoy-grpc.yaml');
  const client = new Client(site.authorization, credentials.createInsecure());
  const proxy = await startReplay(site, {
    clean: envoyEntry(await envoyManager()),
    ask: async (incoming, fields, peer) => {
      const host = valueOf(fields, 'host') ?? '';
      const pseudo: readonly Field[] = [
        [':method', incoming.method as string],
        [':path', incoming.url as string],
        [':authority', host],
        [':scheme', 'http'],
      ];
      const address = { socketAddress: { address: peer, portValue: incoming.socket.remotePort } };
      const response = await check(client, {
        attributes: {
          source: { address },
          request: {
            http: {
              id: '1',
              method: incoming.method,
              path: incoming.url,
              host,
              scheme: 'http',
              size: -1,
              protocol: 'HTTP/1.1',
              // encode_raw_headers: the bytes as they came.
              headerMap: {
                headers: [...pseudo, ...without(fields, ['host'])].map(([key, value]) => ({
                  key,
                  rawValue: Buffer.from(value, 'latin1'),
                })),
              },
            },
          },
        },
      });
      return response === undefined ? undefined : apply(fields, response);
    },
    unreachable: filters[0].typed_config.failure_mode_allow ? 200 : 503,
  });
  return {
    ...proxy,
    [Symbol.asyncDispose]: async () => {
      client.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** `undefined`: the call itself failed, which Envoy treats by failure_mode_allow. */
async function check(client: Client, request: object): Promise<CheckResponse | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<CheckResponse | undefined>();
  client.makeUnaryRequest(
    '/envoy.service.auth.v3.Authorization/Check',
    (message: object) => Buffer.from(checkRequest.encode(checkRequest.fromObject(message)).finish()),
    (bytes: Buffer) => checkResponse.toObject(checkResponse.decode(bytes)) as CheckResponse,
    request,
    new Metadata(),
    { deadline: Date.now() + 15_000 },
    (error: ServiceError | null, response?: CheckResponse) => {
      if (error === null) resolve(response);
      else if (typeof error.code === 'number') resolve(undefined);
      else reject(error);
    },
  );
  return await promise;
}

function apply(fields: readonly Field[], response: CheckResponse): Permission | Refusal {
  const pairsOf = (headers: readonly HeaderOption[] = []): readonly Field[] =>
    headers.map(({ header }) => [header.key, Buffer.from(header.value, 'utf8').toString('latin1')]);
  if ((response.status?.code ?? 0) !== 0) {
    const { status, headers, body = '' } = response.deniedResponse ?? {};
    return { kind: 'refuse', status: status?.code ?? 403, fields: pairsOf(headers), body: Buffer.from(body) };
  }
  const { headers, headersToRemove = [], responseHeadersToAdd } = response.okResponse ?? {};
  const set = pairsOf(headers);
  return {
    kind: 'pass',
    application: [...without(fields, [...headersToRemove, ...set.map(([name]) => name)]), ...set],
    client: pairsOf(responseHeadersToAdd),
  };
}

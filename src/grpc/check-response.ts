/**
 * Writes Envoy's `envoy.service.auth.v3.CheckResponse`, by the numbers of the public v3 API.
 *
 *   CheckResponse       status = 1, denied_response = 2, ok_response = 3
 *   google.rpc.Status   code = 1
 *   DeniedHttpResponse  status = 1 (HttpStatus: code = 1), headers = 2, body = 3
 *   OkHttpResponse      headers = 2, headers_to_remove = 5, response_headers_to_add = 6
 *   HeaderValueOption   header = 1 (HeaderValue: key = 1, value = 2), append = 2 (BoolValue), append_action = 3
 */
import { Writer } from 'protobufjs/minimal.js';
import { type GrpcRefusal, grpcStatus } from './status.ts';

/** Flat list of names and values. */
type FlatHeaders = readonly string[];

export interface HeaderChanges {
  /** Set on the request to the application: whatever the client sent under the name is replaced. */
  readonly set: FlatHeaders;
  /** Names taken off it. Envoy removes after it has set: no name may be in both lists. */
  readonly remove: readonly string[];
}

/** Fields of an OkHttpResponse; such pieces may follow one another in any number. */
export function encodeChanges({ set, remove }: HeaderChanges): Uint8Array {
  const writer = Writer.create();
  writeHeaders(writer, set);
  for (const name of remove) writer.uint32(bytesField(5)).string(name);
  return writer.finish();
}

/** A piece of an OkHttpResponse: fields of the answer to the visitor, beside those of the application. */
export function encodeAnswerHeaders(headers: FlatHeaders): Uint8Array {
  const writer = Writer.create();
  writeHeaders(writer, headers, { field: 6, appends: true });
  return writer.finish();
}

/** Hot path: `bench/grpc.ts`. The request passes; `pieces` come from `encodeChanges`. */
export function encodeAllowance(pieces: readonly Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  // An empty google.rpc.Status has code 0, which is OK.
  const head = Writer.create().uint32(bytesField(1)).uint32(0).uint32(bytesField(3)).uint32(length).finish();
  return Buffer.concat([head, ...pieces]);
}

/** The visitor gets this answer instead of the application. */
export function encodeDenial(
  code: GrpcRefusal,
  answer: { readonly status: number; readonly headers: FlatHeaders; readonly body: string },
): Buffer {
  const writer = Writer.create();
  writer.uint32(bytesField(1)).fork().uint32(varintField(1)).int32(grpcStatus[code]).ldelim();
  writer.uint32(bytesField(2)).fork();
  writer.uint32(bytesField(1)).fork().uint32(varintField(1)).int32(answer.status).ldelim();
  writeHeaders(writer, answer.headers);
  if (answer.body !== '') writer.uint32(bytesField(3)).string(answer.body);
  writer.ldelim();
  return Buffer.from(writer.finish());
}

function writeHeaders(
  writer: Writer,
  headers: FlatHeaders,
  { field, appends }: { readonly field: number; readonly appends: boolean } = { field: 2, appends: false },
): void {
  for (let i = 0; i < headers.length; i += 2) {
    writer.uint32(bytesField(field)).fork();
    writer.uint32(bytesField(1)).fork();
    writer.uint32(bytesField(1)).string(headers[i] as string);
    writer.uint32(bytesField(2)).string(headers[i + 1] as string);
    writer.ldelim();
    // Older Envoys read `append` only (an empty BoolValue is false); where both are read, they say the same.
    if (appends) writer.uint32(bytesField(2)).fork().uint32(varintField(1)).bool(true).ldelim();
    else writer.uint32(bytesField(2)).uint32(0);
    writer.uint32(varintField(3)).int32(appends ? appendIfExistsOrAdd : overwriteIfExistsOrAdd);
    writer.ldelim();
  }
}

const appendIfExistsOrAdd = 0;
const overwriteIfExistsOrAdd = 2;

/** Tag of a field that holds text or a message (wire type 2). */
const bytesField = (number: number): number => (number << 3) | 2;

/** Tag of a field that holds a number (wire type 0). */
const varintField = (number: number): number => number << 3;

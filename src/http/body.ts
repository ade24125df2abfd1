/** Small request bodies read whole: the forms of the portal, and such that are kept for an application. Everything else is streamed, never read here. */
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../errors.ts';
import type { RequestHead } from './request-head.ts';

/** Largest form the portal accepts. */
export const maxFormBytes = 16_384;

/** How long a client may take to send a form. */
const formDeadlineMs = 10_000;

/**
 * Reads an `application/x-www-form-urlencoded` body of at most `maxFormBytes`.
 * Throws REQUEST_TOO_LARGE, MEDIA_TYPE_UNSUPPORTED, or REQUEST_MALFORMED (not UTF-8, a field twice, too slow, cut off).
 */
export async function readForm(
  request: IncomingMessage,
  head: RequestHead,
): Promise<ReadonlyMap<string, string>> {
  // What a form is packed into is not unpacked: a few bytes may become gigabytes.
  if (request.headers['content-encoding'] !== undefined) {
    throw new GatewayError('MEDIA_TYPE_UNSUPPORTED', 'a form must not be compressed');
  }
  if (head.contentLength !== undefined && Number(head.contentLength) > maxFormBytes)
    throw tooLarge(maxFormBytes);
  if (mediaType(head.contentType) !== 'application/x-www-form-urlencoded') {
    throw new GatewayError('MEDIA_TYPE_UNSUPPORTED', 'a form must be application/x-www-form-urlencoded');
  }
  const bytes = await readBody(request, { maxBytes: maxFormBytes, deadlineMs: formDeadlineMs });
  return parseForm(bytes);
}

/** Without parameters, in lower case; '' when there is none. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('REQUEST_TOO_LARGE', `a form may have ${maxBytes} bytes`);
}

export interface BodyLimits {
  readonly maxBytes: number;
  /** For the whole body. */
  readonly deadlineMs: number;
}

/** Rejects with REQUEST_TOO_LARGE, or REQUEST_MALFORMED when the body is too slow or does not arrive whole. */
export function readBody(request: IncomingMessage, { maxBytes, deadlineMs }: BodyLimits): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let length = 0;
  const cutOff = (): void => reject(new GatewayError('REQUEST_MALFORMED', 'the form did not arrive whole'));
  const deadline = setTimeout(cutOff, deadlineMs);
  const onData = (chunk: Buffer): void => {
    length += chunk.length;
    if (length > maxBytes) {
      reject(tooLarge(maxBytes));
      return;
    }
    chunks.push(chunk);
  };
  request.on('data', onData);
  request.once('end', () => resolve(Buffer.concat(chunks)));
  request.once('close', cutOff);
  request.once('error', cutOff);
  return promise.finally(() => {
    clearTimeout(deadline);
    request.off('data', onData);
  });
}

/** WHATWG URL "urlencoded parsing", but strict: invalid UTF-8, broken escapes and repeated fields are refused. */
export function parseForm(bytes: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (bytes.length === 0) return fields;
  for (const pair of decodeUtf8(bytes).split('&')) {
    const equals = pair.indexOf('=');
    const name = decodeField(equals < 0 ? pair : pair.slice(0, equals));
    const value = decodeField(equals < 0 ? '' : pair.slice(equals + 1));
    if (fields.has(name)) throw new GatewayError('REQUEST_MALFORMED', 'a form field came twice');
    fields.set(name, value);
  }
  return fields;
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new GatewayError('REQUEST_MALFORMED', 'the form is not UTF-8', { cause });
  }
}

function decodeField(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw new GatewayError('REQUEST_MALFORMED', 'the form has a broken escape', { cause });
  }
}

/**
 * What Node's parser lets through although two servers could read it differently: refused before any handler.
 * Answers an error code, or `undefined` for a request whose framing, version and host leave no doubt.
 */
import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../errors.ts';
import type { RequestHead } from './request-head.ts';
import { maxTargetBytes } from './target.ts';

/** Hot path: `bench/forward-auth.ts`. */
export function headFault(request: IncomingMessage, head: RequestHead): ErrorCode | undefined {
  const { httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'HTTP_VERSION_UNSUPPORTED';
  if (head.host === undefined || head.isDuplicate('host')) return 'REQUEST_MALFORMED';
  if (head.transferEncoding !== undefined) {
    // RFC 9112 section 6.1: anything but a final, single "chunked" invites two readings of where the body ends.
    if (head.isDuplicate('transferEncoding') || head.transferEncoding.toLowerCase() !== 'chunked') {
      return 'TRANSFER_CODING_UNSUPPORTED';
    }
    if (head.contentLength !== undefined || httpVersion === '1.0') return 'REQUEST_MALFORMED';
  }
  if (head.duplicates !== undefined) {
    if (
      head.isDuplicate('contentLength') ||
      head.isDuplicate('authorization') ||
      head.isDuplicate('contentType')
    ) {
      return 'REQUEST_MALFORMED';
    }
  }
  if ((request.url as string).length > maxTargetBytes) return 'TARGET_TOO_LONG';
  return undefined;
}

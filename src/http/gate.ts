/**
 * What Node's parser lets through although two servers could read it differently: refused before any handler.
 * Answers an error code, or `undefined` for a request whose framing, version and host leave no doubt.
 */
import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../errors.ts';
import { isHttp2 } from './http2-request.ts';
import type { RequestHead } from './request-head.ts';
import { maxTargetBytes } from './target.ts';

/** Hot path: `bench/forward-auth.ts`. `maxFields`: Node's parser would leave out what is beyond its own bound. */
export function headFault(
  request: IncomingMessage,
  head: RequestHead,
  maxFields: number,
): ErrorCode | undefined {
  const { httpVersion } = request;
  if (request.rawHeaders.length > 2 * maxFields) return 'REQUEST_HEAD_TOO_LARGE';
  if (httpVersion !== '1.1' && httpVersion !== '1.0' && !isHttp2(request)) return 'HTTP_VERSION_UNSUPPORTED';
  if (head.host === undefined || head.isDuplicate('host')) return 'REQUEST_MALFORMED';
  if (head.transferEncoding !== undefined) {
    // RFC 9112 section 6.1: anything but a final, single "chunked" invites two readings of where the body ends.
    if (head.isDuplicate('transferEncoding')) return 'REQUEST_MALFORMED';
    if (head.transferEncoding.toLowerCase() !== 'chunked') return codingFault(head.transferEncoding);
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

const compressions: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'compress', 'x-compress', 'deflate']);

/** A body that is compressed on the way is understood, only not supported; any other word may be a disguise of "chunked". */
function codingFault(transferEncoding: string): ErrorCode {
  const codings = transferEncoding
    .toLowerCase()
    .split(',')
    // Only space and tab are blanks here; a no-break space is part of the word (RFC 9110 section 5.6.3).
    .map((coding) => coding.replace(/^[ \t]+|[ \t]+$/g, ''));
  const isUnderstood = codings.pop() === 'chunked' && codings.every((coding) => compressions.has(coding));
  return isUnderstood ? 'TRANSFER_CODING_UNSUPPORTED' : 'REQUEST_MALFORMED';
}

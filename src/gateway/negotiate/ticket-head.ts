/**
 * The size of a request's head where tickets are taken: the listener lets heads of that size in, and everybody who
 * sends no ticket keeps the ordinary limit.
 */
import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../../errors.ts';
import { maxHeadBytes } from '../../http/listener.ts';
import type { RequestHead } from '../../http/request-head.ts';
import { isNegotiate } from '../credentials/negotiate.ts';

/** Bytes around a field: its colon, blank and line end. */
const fieldOverhead = 4;

export function ticketHeadFault(request: IncomingMessage, head: RequestHead): ErrorCode | undefined {
  const { rawHeaders, url = '', method = '' } = request;
  let bytes = method.length + url.length + (rawHeaders.length / 2) * fieldOverhead;
  for (const text of rawHeaders) bytes += text.length;
  const { authorization } = head;
  if (bytes > maxHeadBytes && isNegotiate(authorization)) bytes -= authorization.length;
  return bytes > maxHeadBytes ? 'REQUEST_HEAD_TOO_LARGE' : undefined;
}

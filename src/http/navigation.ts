/** Whether a request is a person who looks at a page, or a program that wants data. */
import type { RequestHead } from './request-head.ts';

/** `Sec-Fetch-Mode: navigate` decides where it is sent; older clients by `Accept: text/html` without `X-Requested-With`. */
export function isNavigation(head: RequestHead): boolean {
  if (head.secFetchMode !== undefined) return head.secFetchMode === 'navigate';
  return head.requestedWith === undefined && head.accept !== undefined && head.accept.includes('text/html');
}

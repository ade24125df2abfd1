/**
 * The head of an answer over HTTP/1 (RFC 9112). Read strictly: what two readers take for different answers is how one
 * person's answer reaches another. Pure; knows no connection.
 */
import { GatewayError } from '../../errors.ts';
import { connectionOptions } from '../../lib/connection-options.ts';

export interface AnswerHead {
  /** 100 to 599. */
  readonly status: number;
  /** Names and values in turn as sent, without the white space around values; fields of the connection too. */
  readonly fields: readonly string[];
  /** Bytes of the body, or what ends it. */
  readonly body: number | 'chunked' | 'until-close';
  /** Whether the connection takes another request after the body. */
  readonly isKept: boolean;
  /** How long the server keeps an idle connection, where it says so. */
  readonly keptMs: number | undefined;
}

/** RFC 9112 sections 4 and 5: every line ends in CRLF, no white space before a colon, no folded line. */
const grammar =
  /^HTTP\/1\.[01] [1-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;

/**
 * Hot path: `bench/proxy.ts`. `text`: a character per byte, from the status line to the CRLF of the last field.
 * `method`: of the request. Throws UPSTREAM_PROTOCOL.
 */
export function parseAnswerHead(text: string, method: string): AnswerHead {
  if (!grammar.test(text)) throw malformed('the head of the answer breaks the grammar of HTTP');
  const status = Number(text.slice(9, 12));
  const isNew = text.charCodeAt(7) === one;
  const fields: string[] = [];
  let length: string | undefined;
  let coding: string | undefined;
  let connection: string | undefined;
  let keptMs: number | undefined;
  let at = text.indexOf('\r\n') + 2;
  while (at < text.length) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r\n', colon);
    const name = text.slice(at, colon);
    const value = trimmed(text, colon + 1, end);
    fields.push(name, value);
    at = end + 2;
    // Few lengths are looked at, since most fields have another one.
    switch (name.length) {
      case 10:
        if (isNamed(name, 'connection')) connection = joined(connection, value);
        else if (isNamed(name, 'keep-alive')) keptMs = timeoutOf(value);
        break;
      case 14:
        if (!isNamed(name, 'content-length')) break;
        if (length !== undefined) throw malformed('the answer has two lengths');
        length = value;
        break;
      case 17:
        if (isNamed(name, 'transfer-encoding')) coding = joined(coding, value);
    }
  }
  const body = bodyOf(status, method, isNew, length, coding);
  const isKept =
    body !== 'until-close' &&
    stays(connection, isNew) &&
    !(body === 0 && announcesBody(status, length, coding));
  return { status, fields, body, isKept, keptMs };
}

/** RFC 9112 section 6.3, and nothing that it lets a reader guess. */
function bodyOf(
  status: number,
  method: string,
  isNew: boolean,
  length: string | undefined,
  coding: string | undefined,
): AnswerHead['body'] {
  if (coding !== undefined) {
    if (length !== undefined) throw malformed('the answer has both a length and a transfer coding');
    if (!isNew || coding.toLowerCase() !== 'chunked')
      throw malformed('the answer has a transfer coding that nobody asked for');
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length))
    throw malformed('the answer has an impossible length');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (coding !== undefined) return 'chunked';
  return length === undefined ? 'until-close' : Number(length);
}

/**
 * Whether an answer without a body names one, as those to HEAD do. Some servers then send it all the same, and it would
 * be read as the answer to the next request. A 304 may name a length, and is too common to lose its connection.
 */
function announcesBody(status: number, length: string | undefined, coding: string | undefined): boolean {
  return coding !== undefined || (status !== 304 && length !== undefined && Number(length) > 0);
}

/** RFC 9112 section 9.3. */
function stays(connection: string | undefined, isNew: boolean): boolean {
  if (connection === undefined) return isNew;
  const options = connectionOptions(connection);
  return !options.includes('close') && (isNew || options.includes('keep-alive'));
}

/** Seconds in `timeout=5, max=100`. */
function timeoutOf(value: string): number | undefined {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

/** Without spaces and tabs at both ends; other white space of Unicode is a byte like any other. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const one = 0x31;

function isNamed(name: string, lower: string): boolean {
  return name.toLowerCase() === lower;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function malformed(message: string): GatewayError {
  return new GatewayError('UPSTREAM_PROTOCOL', message);
}

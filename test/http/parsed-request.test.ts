import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import { listen } from '#src/http/listener.ts';
import { converse } from '#test/corpus/wire-client.ts';

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a handler sees of requests on one connection, before and after it has read their bodies. */
async function seenOf(bytes: string, requests: number): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  const server = await listen({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    handler: (request, response) => {
      const { headers } = request;
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      // A request without a body ends before its handler is called.
      const answer = (): void => {
        seen.push({ headers, body });
        assert.deepEqual(request.headers, headers);
        response.end();
      };
      if (request.readableEnded || request.destroyed) answer();
      else request.once('end', answer);
    },
  });
  try {
    if (server.address.kind !== 'tcp') throw new Error('not a TCP address');
    await converse({ port: server.address.port, bytes: Buffer.from(bytes, 'latin1'), answers: requests });
    return seen;
  } finally {
    await server.drain(0);
  }
}

describe('whoever handles a request', () => {
  test('sees all fields of one without a body', async () => {
    const [seen] = await seenOf(
      'GET / HTTP/1.1\r\nHost: a\r\nCookie: b=c\r\nX-One: 1\r\nX-One: 2\r\n\r\n',
      1,
    );
    assert.deepEqual(seen, { headers: { host: 'a', cookie: 'b=c', 'x-one': '1, 2' }, body: '' });
  });

  const framings: readonly (readonly [what: string, fields: string, body: string])[] = [
    ['a length', 'Content-Length: 4\r\n', 'body'],
    ['a length in other letters', 'cONTENT-lENGTH: 4\r\n', 'body'],
    ['chunks', 'Transfer-Encoding: chunked\r\n', '4\r\nbody\r\n0\r\n\r\n'],
    ['chunks in other letters', 'TRANSFER-ENCODING: chunked\r\n', '4\r\nbody\r\n0\r\n\r\n'],
    ['an expectation', 'expect: 100-continue\r\ncontent-length: 4\r\n', 'body'],
  ];
  for (const [what, fields, body] of framings) {
    test(`gets the body after ${what}, and the request behind it`, async () => {
      const seen = await seenOf(
        `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}GET /next HTTP/1.1\r\nHost: b\r\n\r\n`,
        2,
      );
      assert.deepEqual(
        seen.map((one) => [one.headers.host, one.body]),
        [
          ['a', 'body'],
          ['b', ''],
        ],
      );
    });
  }
});

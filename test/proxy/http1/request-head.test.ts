import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type RequestHead, requestHead } from '#src/proxy/http1/request-head.ts';

const isMalformed = { name: 'GatewayError', code: 'REQUEST_MALFORMED' };

const plain: RequestHead = { method: 'GET', path: '/', headers: [], bodyLength: 0, isUpgrade: false };

/** Lines of the head without the empty one at its end, which must be there. */
function linesOf(request: Partial<RequestHead>): string[] {
  const text = requestHead({ ...plain, ...request });
  assert.ok(text.endsWith('\r\n\r\n'));
  return text.slice(0, -4).split('\r\n');
}

const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      'a',
      '\r',
      '\n',
      '\r\n',
      ' ',
      '\t',
      '\0',
      ':',
      '\x85',
      '\u2028',
      '\u010d',
      '\u560a',
    ),
  }),
);

describe('the head of a request', () => {
  test('says method, path and fields in their order, and then what the connection is for', () => {
    assert.deepEqual(linesOf({ path: '/a?b=\xff', headers: ['Host', 'a', 'X', '', 'x', '\xff\t b'] }), [
      'GET /a?b=\xff HTTP/1.1',
      'Host: a',
      'X: ',
      'x: \xff\t b',
      'Connection: keep-alive',
    ]);
  });

  test('has each value in one line of its own, or is refused', () => {
    fc.assert(
      fc.property(anything, (value) => {
        let lines: string[];
        try {
          lines = linesOf({ headers: ['X', value, 'Y', 'b'] });
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'REQUEST_MALFORMED');
          assert.match(value, /[^\t\x20-\x7e\x80-\xff]/);
          return;
        }
        assert.deepEqual(lines, ['GET / HTTP/1.1', `X: ${value}`, 'Y: b', 'Connection: keep-alive']);
      }),
      { numRuns: 1_000 },
    );
  });

  test('has the path as its second word, or is refused', () => {
    fc.assert(
      fc.property(anything, (path) => {
        let lines: string[];
        try {
          lines = linesOf({ path });
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'REQUEST_MALFORMED');
          assert.ok(path === '' || /[^\x21-\x7e\x80-\xff]/.test(path));
          return;
        }
        assert.deepEqual(lines[0]?.split(' '), ['GET', path, 'HTTP/1.1']);
        assert.equal(lines.length, 2);
      }),
      { numRuns: 1_000 },
    );
  });

  for (const method of ['', 'GET /x HTTP/1.1\r\nX:', 'GET ', ' GET', 'G\tET', 'G\0', 'G\xe9T', 'G:']) {
    test(`is refused with the method ${JSON.stringify(method)}`, () => {
      assert.throws(() => requestHead({ ...plain, method }), isMalformed);
    });
  }

  test('leaves as as many bytes as it has characters', () => {
    assert.throws(() => requestHead({ ...plain, headers: ['X', '\u0100'] }), isMalformed);
    // In one byte this is a line break.
    assert.throws(() => requestHead({ ...plain, headers: ['X', '\u010d\u010a'] }), isMalformed);
    assert.throws(() => requestHead({ ...plain, path: '/\u0120' }), isMalformed);
  });

  const framings: readonly { name: string; request: Partial<RequestHead>; expect: readonly string[] }[] = [
    { name: 'no body', request: {}, expect: [] },
    { name: 'no body of a DELETE', request: { method: 'DELETE' }, expect: [] },
    { name: 'no body of a POST', request: { method: 'POST' }, expect: ['Content-Length: 0'] },
    { name: 'no body of a PUT', request: { method: 'PUT' }, expect: ['Content-Length: 0'] },
    { name: 'no body of a PATCH', request: { method: 'PATCH' }, expect: ['Content-Length: 0'] },
    { name: 'a body', request: { method: 'POST', bodyLength: 5 }, expect: ['Content-Length: 5'] },
    { name: 'a body of a GET', request: { bodyLength: 5 }, expect: ['Content-Length: 5'] },
    {
      name: 'a large body',
      request: { bodyLength: 1_099_511_627_776 },
      expect: ['Content-Length: 1099511627776'],
    },
    { name: 'chunks', request: { bodyLength: 'chunked' }, expect: ['Transfer-Encoding: chunked'] },
  ];

  for (const { name, request, expect } of framings) {
    test(`says its framing once: ${name}`, () => {
      const claims = [
        'content-length',
        '7',
        'Content-Length',
        '8',
        'TRANSFER-ENCODING',
        'gzip',
        'Transfer-Encoding',
        'x',
      ];
      const lines = linesOf({ ...request, headers: ['Host', 'a', ...claims] });
      assert.deepEqual(
        lines.filter((line) => /^(content-length|transfer-encoding):/i.test(line)),
        expect,
      );
      assert.equal(lines.length, 3 + expect.length);
    });
  }

  test('of an upgrade asks for a WebSocket', () => {
    assert.deepEqual(linesOf({ isUpgrade: true }), [
      'GET / HTTP/1.1',
      'Connection: upgrade',
      'Upgrade: websocket',
    ]);
  });
});

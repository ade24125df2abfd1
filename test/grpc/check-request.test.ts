import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeCheckRequest } from '#src/grpc/check-request.ts';
import { encodeCheckRequest } from '#test/servers/envoy-authorization.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.toWellFormed());

test('reads back what Envoy encodes, whatever stands in the fields', () => {
  const asked = fc.record({
    method: text,
    host: text,
    path: text,
    scheme: text,
    source: text.filter((value) => value !== ''),
    headers: fc.uniqueArray(fc.tuple(text, text), { maxLength: 12, selector: ([name]) => name }),
  });
  fc.assert(
    fc.property(asked, (wanted) => {
      const headers = wanted.headers.filter(([name]) => name !== '__proto__');
      const request = decodeCheckRequest(encodeCheckRequest({ ...wanted, headers }));
      assert.ok(request !== undefined);
      const { method, host, path, scheme, source } = request;
      assert.deepEqual(
        { method, host, path, scheme, source },
        {
          method: wanted.method,
          host: wanted.host,
          path: wanted.path,
          scheme: wanted.scheme,
          source: wanted.source,
        },
      );
      const pairs = request.headers.flatMap((name, i, all) => (i % 2 === 0 ? [[name, all[i + 1]]] : []));
      assert.deepEqual(new Map(pairs as [string, string][]), new Map(headers));
    }),
    { numRuns: 300 },
  );
});

test('takes raw header values as text, also where their bytes are no UTF-8', () => {
  const request = decodeCheckRequest(
    encodeCheckRequest({
      raw: true,
      headers: [
        ['a', '\xc3\xa9'],
        ['a', '\xff'],
        ['__proto__', 'x'],
      ],
    }),
  );
  assert.deepEqual(request?.headers, ['a', 'é', 'a', '\ufffd', '__proto__', 'x']);
});

test('answers undefined, and throws nothing, for bytes that are no message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const request = decodeCheckRequest(Buffer.from(bytes));
      assert.ok(request === undefined || typeof request.method === 'string');
    }),
    { numRuns: 5_000 },
  );
});

test('reads no message that was cut off', () => {
  const whole = encodeCheckRequest({ headers: [['accept', '*/*']] });
  for (let length = 1; length < whole.length; length++) {
    const cut = decodeCheckRequest(whole.subarray(0, length));
    // Only where the cut falls between two fields of the outermost message is the rest a message.
    assert.equal(cut, undefined, `${length} bytes`);
  }
});

const malformed: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ['a message longer than the one around it', [0x0a, 0x02, 0x22, 0x7f]],
  ['a text longer than the message', [0x0a, 0x06, 0x22, 0x04, 0x12, 0x02, 0x12, 0x7f]],
  ['field number 0', [0x02, 0x01, 0x00]],
  ['a group', [0x0b, 0x0c]],
  ['groups without end', Array.from({ length: 100_000 }, () => 0x0b)],
  ['a wire type that does not exist', [0x0f, 0x00]],
  ['a length without end', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
];
for (const [name, bytes] of malformed) {
  test(`reads no message with ${name}`, () => {
    assert.equal(decodeCheckRequest(Buffer.from(bytes)), undefined);
  });
}

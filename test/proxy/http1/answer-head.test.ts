import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AnswerHead, parseAnswerHead } from '#src/proxy/http1/answer-head.ts';

const isProtocolError = { name: 'GatewayError', code: 'UPSTREAM_PROTOCOL' };

function answer(...fields: readonly string[]): string {
  return ['HTTP/1.1 200 OK', ...fields, ''].join('\r\n');
}

interface Accepted {
  readonly name: string;
  readonly text: string;
  readonly method?: string;
  readonly expect: Partial<AnswerHead>;
}

const accepted: readonly Accepted[] = [
  {
    name: 'a length',
    text: answer('Content-Length: 5'),
    expect: { status: 200, fields: ['Content-Length', '5'], body: 5, isKept: true, keptMs: undefined },
  },
  { name: 'a length of nothing', text: answer('Content-Length: 0'), expect: { body: 0, isKept: true } },
  { name: 'a length with zeros in front', text: answer('Content-Length: 007'), expect: { body: 7 } },
  {
    name: 'the largest length',
    text: answer('Content-Length: 999999999999999'),
    expect: { body: 999_999_999_999_999 },
  },
  { name: 'chunks', text: answer('Transfer-Encoding: chunked'), expect: { body: 'chunked', isKept: true } },
  { name: 'chunks in capitals', text: answer('TRANSFER-ENCODING: Chunked'), expect: { body: 'chunked' } },
  { name: 'no fields', text: answer(), expect: { fields: [], body: 'until-close', isKept: false } },
  { name: 'no reason phrase', text: 'HTTP/1.1 404 \r\n', expect: { status: 404 } },
  { name: 'no reason phrase, no space', text: 'HTTP/1.1 404\r\n', expect: { status: 404 } },
  { name: 'a reason phrase of other bytes', text: 'HTTP/1.1 200 \xc3\xa4\t!\r\n', expect: { status: 200 } },
  { name: 'the largest status', text: 'HTTP/1.1 599 X\r\n', expect: { status: 599 } },
  {
    name: 'other bytes in a value, as they are',
    text: answer('X: \xff\x80\xc3\xa9'),
    expect: { fields: ['X', '\xff\x80\xc3\xa9'] },
  },
  { name: 'blanks around a value', text: answer('X: \t a \t b \t '), expect: { fields: ['X', 'a \t b'] } },
  { name: 'no blank before a value', text: answer('X:a'), expect: { fields: ['X', 'a'] } },
  { name: 'an empty value', text: answer('X:', 'Y: \t '), expect: { fields: ['X', '', 'Y', ''] } },
  {
    name: 'no-break spaces, which are bytes like any other',
    text: answer('X: \xa0a\xa0'),
    expect: { fields: ['X', '\xa0a\xa0'] },
  },
  { name: 'colons in a value', text: answer('X: a:b::'), expect: { fields: ['X', 'a:b::'] } },
  {
    name: 'fields in their order and case, those of the connection too',
    text: answer('set-cookie: a', 'Connection: x', 'SET-COOKIE: b'),
    expect: { fields: ['set-cookie', 'a', 'Connection', 'x', 'SET-COOKIE', 'b'] },
  },
  { name: 'every character of a name', text: answer("!#$%&'*+-.^_`|~09azAZ: x"), expect: { status: 200 } },

  { name: 'close', text: answer('Content-Length: 1', 'Connection: close'), expect: { isKept: false } },
  {
    name: 'close in a list',
    text: answer('Content-Length: 1', 'Connection: X-Y ,\tClose'),
    expect: { isKept: false },
  },
  {
    name: 'close in a second field',
    text: answer('Content-Length: 1', 'Connection: keep-alive', 'connection: close'),
    expect: { isKept: false },
  },
  {
    name: 'another option',
    text: answer('Content-Length: 1', 'Connection: closed'),
    expect: { isKept: true },
  },
  { name: 'HTTP/1.0', text: 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n', expect: { body: 1, isKept: false } },
  {
    name: 'HTTP/1.0 that stays',
    text: 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n',
    expect: { isKept: true },
  },
  {
    name: 'a body until the end of the connection, whatever Connection says',
    text: answer('Connection: keep-alive'),
    expect: { body: 'until-close', isKept: false },
  },

  { name: 'how long it is kept', text: answer('Keep-Alive: timeout=5, max=100'), expect: { keptMs: 5_000 } },
  { name: 'that behind another', text: answer('Keep-Alive: max=1,Timeout=1'), expect: { keptMs: 1_000 } },
  { name: 'a time that is none', text: answer('Keep-Alive: timeout=soon'), expect: { keptMs: undefined } },
  { name: 'another name', text: answer('Keep-Alive: xtimeout=5'), expect: { keptMs: undefined } },
  { name: 'a time beyond all', text: answer('Keep-Alive: timeout=9999999'), expect: { keptMs: undefined } },

  { name: '204', text: 'HTTP/1.1 204 No Content\r\n', expect: { body: 0, isKept: true } },
  { name: '304', text: 'HTTP/1.1 304 Not Modified\r\n', expect: { body: 0, isKept: true } },
  {
    name: '304 with the length of what is not sent',
    text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n',
    expect: { body: 0, isKept: true },
  },
  { name: 'to HEAD', text: answer(), method: 'HEAD', expect: { body: 0, isKept: true } },
  {
    name: 'to HEAD, of an empty page',
    text: answer('Content-Length: 0'),
    method: 'HEAD',
    expect: { body: 0, isKept: true },
  },
  {
    name: '100 with a length, which it cannot have',
    text: 'HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n',
    expect: { body: 0 },
  },

  // What is announced and must not come may come all the same: nobody else is to read it.
  {
    name: 'to HEAD with a length',
    text: answer('Content-Length: 9'),
    method: 'HEAD',
    expect: { body: 0, isKept: false },
  },
  {
    name: 'to HEAD with chunks',
    text: answer('Transfer-Encoding: chunked'),
    method: 'HEAD',
    expect: { body: 0, isKept: false },
  },
  {
    name: '204 with a length',
    text: 'HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n',
    expect: { body: 0, isKept: false },
  },
  {
    name: '204 with chunks',
    text: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n',
    expect: { body: 0, isKept: false },
  },
  {
    name: '304 with chunks',
    text: 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n',
    expect: { body: 0, isKept: false },
  },
];

const refused: Readonly<Record<string, string>> = {
  nothing: '',
  'an empty line': '\r\n',
  'an empty line in front': `\r\n${answer()}`,
  'no end of line': 'HTTP/1.1 200 OK',
  'half an end of line': 'HTTP/1.1 200 OK\r',
  'a status line that ends in LF': 'HTTP/1.1 200 OK\nX: a\r\n',
  'a field that ends in LF': 'HTTP/1.1 200 OK\r\nX: a\nY: b\r\n',
  'a field that ends in CR': 'HTTP/1.1 200 OK\r\nX: a\rY: b\r\n',
  'CR twice': 'HTTP/1.1 200 OK\r\nX: a\r\r\n',
  'an empty line within': 'HTTP/1.1 200 OK\r\n\r\nX: a\r\n',
  'space before a colon': answer('Content-Length : 5'),
  'tab before a colon': answer('X\t: 5'),
  'a folded line': answer('X: a', ' b'),
  'a folded first line': answer(' X: a'),
  'no colon': answer('X'),
  'no name': answer(': a'),
  'a space in a name': answer('X Y: a'),
  'a bracket in a name': answer('X(: a'),
  'other bytes in a name': answer('X\xe9: a'),
  'NUL in a name': answer('X\0: a'),
  'NUL in a value': answer('X: a\0b'),
  'escape in a value': answer('X: \x1b[0m'),
  'delete in a value': answer('X: \x7f'),
  'NUL in the reason phrase': 'HTTP/1.1 200 O\0K\r\n',
  'characters that are no bytes': answer('X: \u0100'),
  'a status of two digits': 'HTTP/1.1 20 OK\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\n',
  'status 0': 'HTTP/1.1 000 OK\r\n',
  'status 600': 'HTTP/1.1 600 OK\r\n',
  'a status of other digits': 'HTTP/1.1 2\xb20 OK\r\n',
  'two spaces before the status': 'HTTP/1.1  200 OK\r\n',
  'tab before the status': 'HTTP/1.1\t200 OK\r\n',
  'tab behind the status': 'HTTP/1.1 200\tOK\r\n',
  'HTTP/2': 'HTTP/2 200\r\n',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\n',
  'HTTP/0.9': 'HTTP/0.9 200 OK\r\n',
  'another case': 'http/1.1 200 OK\r\n',
  'a request': 'GET / HTTP/1.1\r\n',
  'two lengths': answer('Content-Length: 2', 'content-length: 5'),
  'the same length twice': answer('Content-Length: 5', 'Content-Length: 5'),
  'a list of lengths': answer('Content-Length: 5, 5'),
  'no length': answer('Content-Length:'),
  'a negative length': answer('Content-Length: -5'),
  'a length with a sign': answer('Content-Length: +5'),
  'half a length': answer('Content-Length: 1.5'),
  'a length in hex': answer('Content-Length: 0x5'),
  'a length with an exponent': answer('Content-Length: 1e3'),
  'a length with no-break space': answer('Content-Length: 5\xa0'),
  'a length of other digits': answer('Content-Length: \xb2'),
  'a length beyond all': answer('Content-Length: 1000000000000000'),
  'a length and chunks': answer('Content-Length: 5', 'Transfer-Encoding: chunked'),
  'chunks and a length': answer('Transfer-Encoding: chunked', 'Content-Length: 5'),
  'gzip as a transfer coding': answer('Transfer-Encoding: gzip'),
  'gzip and chunks': answer('Transfer-Encoding: gzip, chunked'),
  'gzip and chunks in two fields': answer('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'),
  'chunks twice': answer('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
  'identity as a transfer coding': answer('Transfer-Encoding: identity'),
  'an empty transfer coding': answer('Transfer-Encoding:'),
  'an empty one and chunks': answer('Transfer-Encoding:', 'Transfer-Encoding: chunked'),
  'chunks with no-break space': answer('Transfer-Encoding: chunked\xa0'),
  'chunks with a parameter': answer('Transfer-Encoding: chunked;a=b'),
  'chunks under HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n',
};

describe('the head of an answer', () => {
  for (const { name, text, method = 'GET', expect } of accepted) {
    test(`may have ${name}`, () => {
      const head = parseAnswerHead(text, method);
      assert.deepEqual({ ...head, ...expect }, head);
    });
  }

  for (const [name, text] of Object.entries(refused)) {
    test(`is refused with ${name}`, () => {
      for (const method of ['GET', 'HEAD']) {
        assert.throws(() => parseAnswerHead(text, method), isProtocolError);
      }
    });
  }

  test('comes out as it was said', () => {
    fc.assert(
      fc.property(status, fc.array(fc.tuple(fieldName, blanks, fieldValue, blanks)), (code, fields) => {
        const lines = fields.map(([name, before, value, after]) => `${name}:${before}${value}${after}\r\n`);
        const head = parseAnswerHead(`HTTP/1.1 ${code} \r\n${lines.join('')}`, 'GET');
        assert.equal(head.status, code);
        assert.deepEqual(
          head.fields,
          fields.flatMap(([name, , value]) => [name, value]),
        );
      }),
    );
  });

  test('with bytes put in, taken out or changed means what its lines say one by one, or is refused', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'HEAD'),
        fc.constantFrom(...accepted.map(({ text }) => text)),
        fc.array(fc.tuple(fc.nat(), fc.nat(1), fc.constantFrom('', ...bytes)), {
          minLength: 1,
          maxLength: 3,
        }),
        (method, text, changes) => {
          let changed = text;
          for (const [place, taken, put] of changes) {
            const at = place % (changed.length + 1);
            changed = changed.slice(0, at) + put + changed.slice(at + taken);
          }
          const expected = readLineByLine(changed, method);
          if (expected === undefined) {
            assert.throws(() => parseAnswerHead(changed, method), isProtocolError);
          } else {
            const { status: code, fields, body } = parseAnswerHead(changed, method);
            assert.deepEqual({ code, fields, body }, expected);
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });

  const long = 65_000;
  const adversarial: Readonly<Record<string, string>> = {
    'as many fields as fit': answer(...Array.from({ length: long / 4 }, () => 'a:')),
    'as many fields as fit, the last one broken': `${'a:\r\n'.repeat(long / 4)}a`,
    'a long value': answer(`X: ${'a'.repeat(long)}`),
    'a long value that breaks at its end': answer(`X: ${'a'.repeat(long)}\0`),
    'a value of blanks': answer(`X:${' '.repeat(long)}`),
    'a value of blanks that breaks at its end': answer(`X:${' \t'.repeat(long / 2)}\x7f`),
    'a long name': answer(`${'X'.repeat(long)}: a`),
    'a long name without a colon': answer('X'.repeat(long)),
    colons: answer(`X${':'.repeat(long)}\0`),
    'a long reason phrase': `HTTP/1.1 200 ${' '.repeat(long)}\0`,
    'a long length': answer(`Content-Length: ${'0'.repeat(long)}x`),
    'many options of the connection': answer(`Connection: ${',a'.repeat(long / 2)}`),
    'many fields of options': answer(...Array.from({ length: long / 14 }, () => 'Connection:,')),
    'many transfer codings': answer(...Array.from({ length: long / 20 }, () => 'Transfer-Encoding:')),
    'nearly a time': answer(`Keep-Alive: ${',timeout=1234567'.repeat(long / 16)}`),
    'blanks before a time': answer(`Keep-Alive: ${'\t '.repeat(long / 2)}timeout=`),
  };

  for (const [name, text] of Object.entries(adversarial)) {
    test(`takes no more time than its length is worth: ${name}`, () => {
      const before = process.cpuUsage();
      try {
        parseAnswerHead(text, 'GET');
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, 'UPSTREAM_PROTOCOL');
      }
      const { user } = process.cpuUsage(before);
      // Microseconds; one or two thousand are usual, a step per pair of characters would be seconds.
      assert.ok(user < 500_000, `${user} µs`);
    });
  }
});

const tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const framing = /^(content-length|transfer-encoding)$/i;
const fieldName = fc
  .string({ unit: fc.constantFrom(...Array.from(tokens)), minLength: 1, maxLength: 20 })
  .filter((name) => !framing.test(name));
const visible = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).filter((character) =>
  /[\x21-\x7e\x80-\xff]/.test(character),
);
const fieldValue = fc
  .string({ unit: fc.constantFrom(...visible, ' ', '\t'), maxLength: 40 })
  .map((value) => value.replace(/^[ \t]+|[ \t]+$/g, ''));
const blanks = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });
const status = fc.integer({ min: 200, max: 599 });
const bytes = ['\r\n', '\r', '\n', '\0', '\t', ' ', ':', ',', '0', '5', '9', 'x', '\x7f', '\x80', '\xff'];

/** The same question answered in the most pedestrian way. `undefined`: refused. */
function readLineByLine(
  text: string,
  method: string,
): { code: number; fields: string[]; body: AnswerHead['body'] } | undefined {
  if (!text.endsWith('\r\n')) return undefined;
  const [first = '', ...lines] = text.slice(0, -2).split('\r\n');
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text.replaceAll('\r\n', ''))) return undefined;
  const isNew = first.startsWith('HTTP/1.1 ');
  if (!isNew && !first.startsWith('HTTP/1.0 ')) return undefined;
  const rest = first.slice('HTTP/1.1 '.length);
  if (rest.length > 3 && rest[3] !== ' ') return undefined;
  const code = Number(/^\d\d\d$/.exec(rest.slice(0, 3))?.[0]);
  if (!(code >= 100 && code <= 599)) return undefined;
  const fields: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    if (name === '' || Array.from(name).some((character) => !tokens.includes(character))) return undefined;
    fields.push(name, line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ''));
  }
  const all = (wanted: string): string[] =>
    fields.filter((_, i) => i % 2 === 1 && (fields[i - 1] as string).toLowerCase() === wanted);
  const lengths = all('content-length');
  const codings = all('transfer-encoding');
  if (lengths.length + codings.length > 1) return undefined;
  if (lengths.some((length) => length === '' || /[^0-9]/.test(length) || length.length > 15))
    return undefined;
  if (codings.some((coding) => coding.toLowerCase() !== 'chunked' || !isNew)) return undefined;
  if (method === 'HEAD' || code < 200 || code === 204 || code === 304) return { code, fields, body: 0 };
  if (codings.length > 0) return { code, fields, body: 'chunked' };
  return { code, fields, body: lengths.length > 0 ? Number(lengths[0]) : 'until-close' };
}

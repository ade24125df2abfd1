import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDocument } from '#src/config/document.ts';
import { formatProblem } from '#src/config/problem.ts';

const faults = (text: string): readonly string[] =>
  readDocument(text).problems.map((problem) => formatProblem('f', problem));

const refused: readonly { readonly name: string; readonly yaml: string; readonly expect: string }[] = [
  {
    name: 'a merge key that sets a prototype (CVE-2025-64718)',
    yaml: 'x: &a\n  __proto__:\n    isAdmin: true\npolicy:\n  <<: *a\n',
    expect: 'f:2:3 x.__proto__: this key is never allowed',
  },
  {
    name: 'a __proto__ member',
    yaml: '{"__proto__":{"isAdmin":true}}',
    expect: 'f:1:2 __proto__: this key is never allowed',
  },
  {
    name: 'constructor.prototype members',
    yaml: '{"policy":{"constructor":{"prototype":{"isAdmin":true}}}}',
    expect: 'f:1:12 policy.constructor: this key is never allowed',
  },
  {
    name: 'an escaped __proto__',
    yaml: '"\\u005f_proto__": 1\n',
    expect: 'f:1:1 __proto__: this key is never allowed',
  },
  {
    name: 'a merge key',
    yaml: 'a: &a { b: 1 }\nc: { <<: *a }\n',
    expect: 'f:2:6 c["<<"]: merge keys are not supported; write the keys out',
  },
  {
    name: 'a key written twice',
    yaml: 'policy: deny\npolicy: allow\n',
    expect: 'f:2:1 policy: this key is written twice',
  },
  {
    name: 'a key written twice in two spellings',
    yaml: 'a: 1\n"a": 2\n',
    expect: 'f:2:1 a: this key is written twice',
  },
  {
    name: 'a key written twice below',
    yaml: 'a:\n  - { b: 1, b: 2 }\n',
    expect: 'f:2:13 a[0].b: this key is written twice',
  },
  {
    name: 'a key that is a list',
    yaml: '? [a, b]\n: 1\n',
    expect: 'f:1:3 (document): expected keys that are plain text',
  },
  { name: 'an alias to nothing', yaml: 'a: *b\n', expect: 'f:1:4 a: *b names no anchor written above it' },
  { name: 'an alias that contains itself', yaml: 'a: &a [ *a ]\n', expect: 'f:1:9 a[0]: *a contains itself' },
  {
    name: 'a second document',
    yaml: 'a: 1\n---\nb: 2\n',
    expect: 'f:3:1 (document): expected one YAML document, found a second one',
  },
];
for (const { name, yaml, expect } of refused) {
  test(`refuses ${name}`, () => {
    assert.equal(faults(yaml)[0], expect);
  });
}

for (const [name, yaml] of [
  ['a function tag', "x: !!js/function 'function(){}'\n"],
  ['a tag of its own', 'x: !secret a\n'],
  ['a tab as indentation', 'a:\n\tb: 1\n'],
  ['a list that is never closed', 'a: [b, c\n'],
  ['a text that is never closed', 'a: "b\n'],
] as const) {
  test(`refuses ${name}, with a place and without a value to use`, () => {
    const document = readDocument(yaml);
    assert.ok(document.problems.length > 0);
    assert.match(formatProblem('f', document.problems[0] as never), /^f:\d+:\d+ \(document\): \S/);
    assert.equal(document.value, undefined);
  });
}

test('words that older YAML reads as booleans, and numbers with leading zeros, stay text', () => {
  const { value } = readDocument('groups: [no, on, yes, off, 0123, 1e3, 0x1F, 1_000, .5]\n');
  assert.deepEqual(value, { groups: ['no', 'on', 'yes', 'off', '0123', '1e3', '0x1F', '1_000', '.5'] });
});

test('plain numbers, booleans, empty values and aliases of lists are what they look like', () => {
  const { value, problems } = readDocument('a: 12\nb: -3\nc: true\nd:\ne: &e [x]\nf: *e\n1: one\n');
  assert.deepEqual(problems, []);
  assert.deepEqual(value, { a: 12, b: -3, c: true, d: null, e: ['x'], f: ['x'], 1: 'one' });
});

test('gives the place of values, of keys, and of the nearest thing there is', () => {
  const document = readDocument('# comment\na:\n  - b: 1\n    c: "two"\n');
  assert.deepEqual(document.positionOf(['a', 0, 'c']), { line: 4, column: 8 });
  assert.deepEqual(document.keyPositionOf(['a', 0, 'c']), { line: 4, column: 5 });
  assert.deepEqual(document.positionOf(['a', 0, 'missing']), { line: 3, column: 5 });
  assert.deepEqual(document.positionOf(['a', 7]), { line: 2, column: 1 });
});

test('counts lines with Windows line ends and columns after wide characters', () => {
  const document = readDocument('a: 1\r\nимя: x\r\n');
  assert.deepEqual(document.positionOf(['имя']), { line: 2, column: 6 });
});

const hostile: readonly { readonly name: string; readonly yaml: string; readonly expect: RegExp }[] = [
  {
    name: 'an alias bomb',
    yaml: `${'abcdef'
      .split('')
      .map(
        (name, i) =>
          `${name}: &${name} [${Array(9)
            .fill(i === 0 ? 'x' : `*${'abcdef'[i - 1] ?? ''}`)
            .join(',')}]\n`,
      )
      .join('')}g: [${Array(9).fill('*f').join(',')}]\n`,
    expect: /aliases repeat too many values$/,
  },
  {
    name: 'a hundred thousand nested lists',
    yaml: `a: ${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    expect: /is nested deeper than 64 levels$/,
  },
  {
    name: 'nested mappings in braces',
    yaml: '{a: '.repeat(10_000),
    expect: /is nested deeper than 64 levels$/,
  },
  {
    name: 'nested lists in block style',
    yaml: `${'- '.repeat(1_000)}x`,
    expect: /is nested deeper than 64 levels$/,
  },
  { name: 'a megabyte of commas', yaml: `[${'x,'.repeat(500_000)}]`, expect: /holds too many values$/ },
];
for (const { name, yaml, expect } of hostile) {
  test(`gives up on ${name} before it costs anything`, () => {
    const lines = faults(yaml);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', expect);
    assert.equal(readDocument(yaml).value, undefined);
  });
}

test('a document as deep as the limit is read', () => {
  assert.deepEqual(faults(`${'['.repeat(64)}${']'.repeat(64)}`), []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileDeepLinks } from '#src/preauth/deep-links.ts';

const find = compileDeepLinks([{ app: 'mail' }, { app: 'mail', view: 'compose' }, { st: 'a b&c' }]);

const cases: readonly (readonly [query: string, expected: string])[] = [
  ['app=mail', '&app=mail'],
  ['view=compose&app=mail', '&app=mail&view=compose'],
  ['app=mail&view=compose&lang=hr&admin=1', '&app=mail&view=compose'],
  ['st=a+b%26c', '&st=a+b%26c'],
  ['', ''],
  ['app=calendar', ''],
  ['app=MAIL', ''],
  ['app=mail&app=mail', ''],
  ['app=mail&view=compose&to=victim%40example.com', ''],
  ['app=mail&redirectURL=https%3A%2F%2Fevil.test', ''],
  ['app=mail&account=root%40example.com', ''],
  ['__proto__=x', ''],
  ['app=mail%26preauth%3Dx', ''],
];
for (const [query, expected] of cases) {
  test(`${query === '' ? 'no parameter' : query} is passed on as ${expected === '' ? 'nothing' : expected}`, () => {
    assert.equal(find(new URLSearchParams(query)), expected);
  });
}

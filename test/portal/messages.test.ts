import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { languages } from '#src/portal/language.ts';
import { messages } from '#src/portal/messages/by-language.ts';

/** All texts as `path: text`, functions called with an example. */
function flatten(value: unknown, path = ''): Map<string, string> {
  if (typeof value === 'string') return new Map([[path, value]]);
  if (typeof value === 'function') return new Map([[path, String((value as (n: unknown) => unknown)(5))]]);
  return new Map(
    Object.entries(value as object).flatMap(([key, child]) => [
      ...flatten(child, path === '' ? key : `${path}.${key}`),
    ]),
  );
}

const english = flatten(messages.en);

// Titles that are the same word in two languages.
const sameInEnglish = new Set(['portal.accessLevels.administrator']);

for (const language of languages) {
  const texts = flatten(messages[language]);

  test(`${language} says everything English says`, () => {
    assert.deepEqual([...texts.keys()].sort(), [...english.keys()].sort());
    for (const [path, text] of texts) assert.ok(text.trim() === text && text.length > 0, path);
  });

  if (language !== 'en') {
    test(`${language} has nothing left in English`, () => {
      const left = [...texts].filter(
        ([path, text]) => english.get(path) === text && !sameInEnglish.has(path),
      );
      assert.deepEqual(left, []);
    });
  }

  test(`${language} ends every advice with a full stop and no title with one`, () => {
    for (const [path, text] of texts) {
      if (/[aA]dvice$/.test(path)) assert.match(text, /\.$/, path);
      if (/[tT]itle$/.test(path)) assert.doesNotMatch(text, /[.!]$/, path);
    }
  });
}

describe('counts are inflected', () => {
  const cases = {
    en: { 0: '0 groups', 1: '1 group', 2: '2 groups', 1234: '1,234 groups' },
    ru: {
      0: '0 групп',
      1: '1 группа',
      3: '3 группы',
      5: '5 групп',
      11: '11 групп',
      21: '21 группа',
      104: '104 группы',
    },
    hr: {
      0: '0 grupa',
      1: '1 grupa',
      2: '2 grupe',
      4: '4 grupe',
      5: '5 grupa',
      11: '11 grupa',
      22: '22 grupe',
    },
  } as const;
  for (const language of languages) {
    for (const [count, expect] of Object.entries(cases[language])) {
      test(`${language}: ${expect}`, () =>
        assert.equal(messages[language].portal.groups(Number(count)), expect));
    }
  }
});

describe('the wait after too many attempts', () => {
  const cases = [
    { seconds: 0, en: 'in 1 second', ru: 'через 1 секунду', hr: 'za 1 sekundu' },
    { seconds: 21.2, en: 'in 22 seconds', ru: 'через 22 секунды', hr: 'za 22 sekunde' },
    { seconds: 90, en: 'in 90 seconds', ru: 'через 90 секунд', hr: 'za 90 sekundi' },
    { seconds: 91, en: 'in 2 minutes', ru: 'через 2 минуты', hr: 'za 2 minute' },
    { seconds: 300, en: 'in 5 minutes', ru: 'через 5 минут', hr: 'za 5 minuta' },
  ] as const;
  for (const { seconds, ...expect } of cases) {
    for (const language of languages) {
      test(`of ${seconds} s reads "${expect[language]}"`, () =>
        assert.ok(messages[language].signIn.throttled(seconds).includes(expect[language])));
    }
  }
});

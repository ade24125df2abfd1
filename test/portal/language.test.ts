import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bestAccepted,
  chooseLanguage,
  languageCookie,
  languages,
  parseLanguage,
} from '#src/portal/language.ts';
import { withLanguage } from '#src/portal/language-switch.ts';

describe('the language of a page', () => {
  const cases: readonly { name: string; wishes: Parameters<typeof chooseLanguage>[0]; expect: string }[] = [
    { name: 'is English when nobody asks', wishes: {}, expect: 'en' },
    {
      name: 'follows the address first',
      wishes: { parameter: 'hr', cookie: 'ru', acceptLanguage: 'en' },
      expect: 'hr',
    },
    {
      name: 'follows the cookie before the browser',
      wishes: { cookie: 'ru', acceptLanguage: 'hr' },
      expect: 'ru',
    },
    { name: 'follows the browser', wishes: { acceptLanguage: 'hr-HR,hr;q=0.9,en;q=0.8' }, expect: 'hr' },
    { name: 'passes over an unknown parameter', wishes: { parameter: 'xx', cookie: 'ru' }, expect: 'ru' },
    {
      name: 'passes over a hostile cookie',
      wishes: { cookie: '__proto__', acceptLanguage: 'ru' },
      expect: 'ru',
    },
  ];
  for (const { name, wishes, expect } of cases) {
    test(name, () => assert.equal(chooseLanguage(wishes), expect));
  }
});

describe('Accept-Language', () => {
  const cases: readonly { field: string; expect: string | undefined }[] = [
    { field: 'ru', expect: 'ru' },
    { field: 'RU-ru', expect: 'ru' },
    { field: 'de, fr;q=0.9, hr;q=0.3, en;q=0.1', expect: 'hr' },
    { field: 'en;q=0.5,ru;q=0.7', expect: 'ru' },
    { field: 'en;q=0.7,ru;q=0.7', expect: 'en' },
    { field: 'ru ; q=0.7 , hr ;q=0.8', expect: 'hr' },
    { field: 'ru;q=0', expect: undefined },
    { field: 'ru;q=2', expect: undefined },
    { field: 'ru;q=abc', expect: undefined },
    { field: 'ru;q=0.1234', expect: undefined },
    { field: 'de', expect: undefined },
    { field: '*', expect: 'en' },
    { field: 'en;q=0, *', expect: 'ru' },
    { field: 'hr;q=0.5, *;q=0.1', expect: 'hr' },
    { field: '', expect: undefined },
    { field: ',,;;,', expect: undefined },
    { field: `${'de,'.repeat(40)}ru`, expect: undefined },
    { field: `ru,${'x'.repeat(1_100)}`, expect: undefined },
  ];
  for (const { field, expect } of cases) {
    test(`${JSON.stringify(field.slice(0, 60))} asks for ${expect ?? 'nothing of ours'}`, () =>
      assert.equal(bestAccepted(field), expect));
  }

  test('of any content gives one of our languages or none', () => {
    const field = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('ru', 'hr', 'en', '*', ';', 'q=', '0.5', '1', ',', '-', ' '))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(field, (text) => {
        const best = bestAccepted(text);
        if (best !== undefined) assert.ok(languages.includes(best));
      }),
    );
  });

  test('gives the language with the strictly highest quality', () => {
    const quality = fc.integer({ min: 1, max: 1_000 });
    fc.assert(
      fc.property(fc.uniqueArray(quality, { minLength: 3, maxLength: 3 }), (thousandths) => {
        const field = languages
          .map((language, i) => `${language};q=${(thousandths[i] as number) / 1_000}`)
          .join(',');
        const best = thousandths.indexOf(Math.max(...thousandths));
        assert.equal(bestAccepted(field), languages[best]);
      }),
    );
  });
});

test('only exact codes are languages', () => {
  for (const code of ['EN', 'en ', '', 'constructor', undefined])
    assert.equal(parseLanguage(code), undefined);
});

test('the language cookie is for the whole site, for a year, and secure over https', () => {
  assert.equal(
    languageCookie('ru', { isSecure: true, domain: 'example.com' }),
    'vratar-lang=ru; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Domain=example.com; Secure',
  );
  assert.doesNotMatch(languageCookie('ru', { isSecure: false }), /Secure|Domain/);
});

describe('a link of the language switch', () => {
  test('keeps the other parameters byte for byte in meaning and replaces only the language', () => {
    const parameters = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })));
    fc.assert(
      fc.property(parameters, fc.constantFrom(...languages), (pairs, language) => {
        const before = new URLSearchParams(pairs.filter(([name]) => name !== 'lang'));
        const link = withLanguage(`/_vratar/login?${before.toString()}&lang=en`, language);
        assert.match(link, /^\/_vratar\/login\?[A-Za-z0-9*_.%=&+-]*$/);
        const after = new URLSearchParams(link.slice(link.indexOf('?')));
        assert.deepEqual(after.getAll('lang'), [language]);
        after.delete('lang');
        assert.deepEqual([...after], [...before]);
      }),
    );
  });

  test('adds the language to an address without a query', () => {
    assert.equal(withLanguage('/_vratar/', 'hr'), '/_vratar/?lang=hr');
  });
});

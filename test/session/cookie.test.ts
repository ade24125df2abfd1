import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { withoutCookies } from '#src/lib/cookie-header.ts';
import { SessionCookie } from '#src/session/cookie.ts';
import { createTicket } from '#src/session/ticket.ts';

const name = '__Host-vratar';
const cookie = new SessionCookie({ name: 'vratar', domain: undefined, sameSite: 'lax' }, true);
const ticket = createTicket();
const other = createTicket();

describe('the session cookie', () => {
  const written = [
    {
      case: 'over https without a domain',
      options: { name: 'vratar', domain: undefined, sameSite: 'lax' },
      secure: true,
      issued: `__Host-vratar=${ticket}; Path=/; HttpOnly; SameSite=Lax; Secure`,
      cleared: '__Host-vratar=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure',
    },
    {
      case: 'over https with a domain',
      options: { name: 'sso', domain: 'example.com', sameSite: 'none' },
      secure: true,
      issued: `sso=${ticket}; Path=/; HttpOnly; SameSite=None; Secure; Domain=example.com`,
      cleared: 'sso=; Max-Age=0; Path=/; HttpOnly; SameSite=None; Secure; Domain=example.com',
    },
    {
      case: 'over http',
      options: { name: 'vratar', domain: undefined, sameSite: 'strict' },
      secure: false,
      issued: `vratar=${ticket}; Path=/; HttpOnly; SameSite=Strict`,
      cleared: 'vratar=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict',
    },
  ] as const;
  for (const { case: when, options, secure, issued, cleared } of written) {
    test(`is written ${when}`, () => {
      const written = new SessionCookie(options, secure);
      assert.equal(written.issue(ticket), issued);
      assert.equal(written.clear(), cleared);
    });
  }

  const readable = [
    { case: 'alone', header: `${name}=${ticket}` },
    { case: 'first', header: `${name}=${ticket}; a=b` },
    { case: 'last', header: `a=b; c=d; ${name}=${ticket}` },
    { case: 'without blanks', header: `a=b;${name}=${ticket};c=d` },
    { case: 'with blanks and tabs around', header: `a=b; \t ${name}=${ticket} \t; c=d` },
    { case: 'next to names that contain it', header: `x${name}=1; ${name}x=2; ${name}=${ticket}; a=${name}` },
    { case: 'after a legacy version marker', header: `$Version=1; ${name}=${ticket}; $Path=/` },
    { case: 'after prototype names', header: `__proto__=1; constructor=2; ${name}=${ticket}` },
    { case: 'after a thousand cookies', header: `${'a=1; '.repeat(1_000)}${name}=${ticket}` },
    { case: 'with its name inside another value', header: `a=${name}=${other}; ${name}=${ticket}` },
  ];
  for (const { case: where, header } of readable) {
    test(`is read ${where}`, () => {
      assert.equal(cookie.readTicket(header), ticket);
      assert.ok(cookie.isPresent(header));
    });
  }

  const unusable = [
    { case: 'written twice, one valid', header: `${name}=garbage; ${name}=${ticket}` },
    { case: 'written twice, both valid', header: `${name}=${ticket}; ${name}=${other}` },
    { case: 'written twice, the same', header: `${name}=${ticket}; ${name}=${ticket}` },
    { case: 'written again with a blank before "="', header: `${name}=${ticket}; ${name} =${other}` },
    { case: 'quoted', header: `${name}="${ticket}"` },
    { case: 'percent-encoded', header: `${name}=%41${ticket.slice(1)}` },
    { case: 'too short', header: `${name}=${ticket.slice(1)}` },
    { case: 'too long', header: `${name}=${ticket}A` },
    { case: 'with a blank inside', header: `${name}=${ticket.slice(0, 20)} ${ticket.slice(21)}` },
    { case: 'with a blank before "="', header: `${name} =${ticket}` },
    { case: 'empty', header: `${name}=` },
  ];
  for (const { case: how, header } of unusable) {
    test(`is present but not read when ${how}`, () => {
      assert.equal(cookie.readTicket(header), undefined);
      assert.ok(cookie.isPresent(header));
    });
  }

  const absent = [
    { case: 'nothing', header: '' },
    { case: 'only separators', header: '; ; ;;=;' },
    { case: 'another letter case', header: `__host-vratar=${ticket}` },
    { case: 'a Unicode space before the name', header: `\u00e2\u0080\u0080${name}=${ticket}` },
    { case: 'a no-break space before the name', header: `a=b;\u00a0${name}=${ticket}` },
    { case: 'a nameless cookie that contains the pair', header: `=${name}=${ticket}` },
    { case: 'the pair inside another value', header: `a=b ${name}=${ticket}` },
    { case: 'the name without a value', header: `a=b; ${name}` },
    { case: 'the name without its prefix', header: `vratar=${ticket}` },
  ];
  for (const { case: what, header } of absent) {
    test(`is absent from ${what}`, () => {
      assert.equal(cookie.readTicket(header), undefined);
      assert.equal(cookie.isPresent(header), false);
    });
  }

  test('is found in time that grows with the header, not with its square', () => {
    const spaced = `${' '.repeat(200_000)}${name}${' '.repeat(200_000)}`;
    const repeated = `${name} `.repeat(20_000);
    const startedAt = performance.now();
    assert.equal(cookie.readTicket(spaced), undefined);
    assert.equal(cookie.readTicket(repeated), undefined);
    assert.equal(withoutCookies(`a=b; ${repeated}`, [name]), `a=b; ${repeated}`);
    assert.ok(performance.now() - startedAt < 200);
  });
});

/** Names and values that look alike, so that boundaries matter. */
const pairs = fc.array(
  fc.tuple(
    fc.constantFrom(name, `${name}x`, `x${name}`, 'vratar', 'a', '', '__host-vratar', `a ${name}`),
    fc.constantFrom(ticket, other, '', 'x', `"${ticket}"`, `${name}=${ticket}`, `b ${name}`),
  ),
  { maxLength: 6 },
);
const separators = fc.constantFrom(';', '; ', ' ;', ';\t ', '; ; ');

describe('whatever the browser sends', () => {
  test('a ticket is read exactly when the name occurs once with a well-formed value', () => {
    fc.assert(
      fc.property(pairs, separators, (list, separator) => {
        const header = list.map(([key, value]) => `${key}=${value}`).join(separator);
        const ours = list.filter(([key]) => key === name);
        const value = ours.length === 1 ? ours[0]?.[1] : undefined;
        const expected = value === ticket || value === other ? value : undefined;
        assert.equal(cookie.readTicket(header), expected);
        assert.equal(cookie.isPresent(header), ours.length > 0);
      }),
      { numRuns: 3_000 },
    );
  });

  test('an application gets every cookie but ours, in the same order', () => {
    fc.assert(
      fc.property(pairs, separators, (list, separator) => {
        const header = list.map(([key, value]) => `${key}=${value}`).join(separator);
        const left = withoutCookies(header, [name, 'vratar']);
        const split = (text: string): string[] =>
          text
            .split(';')
            .map((pair) => pair.trim())
            .filter((pair) => pair !== '');
        const isOurs = (pair: string): boolean => [name, 'vratar'].includes(pair.split('=')[0] ?? '');
        assert.deepEqual(
          split(left),
          split(header).filter((pair) => !isOurs(pair)),
        );
        assert.equal(cookie.isPresent(left), false);
        assert.equal(withoutCookies(left, [name, 'vratar']), left);
      }),
      { numRuns: 3_000 },
    );
  });

  test('a header without our cookies passes unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (header) => {
        fc.pre(!cookie.isPresent(header));
        assert.equal(withoutCookies(header, [name]), header);
      }),
    );
  });
});

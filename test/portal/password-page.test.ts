import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { messages } from '#src/portal/messages/by-language.ts';
import type { PageReply } from '#src/portal/pages.ts';
import type { PasswordModel } from '#src/portal/password-page.ts';
import { headerOf, readTags, structureOf } from './markup.ts';
import { passwordModel, samplePages } from './sample-pages.ts';

function textOf(reply: PageReply): string {
  return reply.body.toString('utf8');
}

/** The value of an input, by its name. */
function fieldOf(reply: PageReply, name: string): ReadonlyMap<string, string> | undefined {
  return readTags(textOf(reply)).find((tag) => tag.attributes.get('name') === name && tag.name === 'input')
    ?.attributes;
}

describe('the page for a new password', () => {
  const page = (model: Partial<PasswordModel>): PageReply =>
    samplePages.password({ ...passwordModel, ...model }, 'en');

  test('has the fields of the contract, none of them filled in but the name', () => {
    const reply = page({ username: 'a"b' });
    assert.equal(fieldOf(reply, 'rd')?.get('value'), passwordModel.returnTo);
    assert.equal(fieldOf(reply, 'csrf')?.get('value'), passwordModel.csrf);
    assert.equal(fieldOf(reply, 'provider')?.get('value'), 'corp');
    assert.equal(fieldOf(reply, 'username')?.get('value'), 'a"b');
    assert.ok(fieldOf(reply, 'username')?.has('readonly'));
    for (const [name, purpose] of [
      ['password', 'current-password'],
      ['newPassword', 'new-password'],
      ['newPasswordAgain', 'new-password'],
    ] as const) {
      const field = fieldOf(reply, name);
      assert.deepEqual([field?.get('type'), field?.get('autocomplete')], ['password', purpose], name);
      assert.ok(!field?.has('value') && field?.has('required'), name);
    }
    assert.ok(fieldOf(reply, 'password')?.has('autofocus'));
  });

  const problems = [
    { problem: undefined, status: 401, text: messages.en.passwordChange.mustChange },
    { problem: { kind: 'rejected' }, status: 401, text: messages.en.signIn.rejected },
    {
      problem: { kind: 'refused', reason: 'too-short' },
      status: 422,
      text: `${messages.en.passwordChange.refusals['too-short']} ${messages.en.passwordChange.kept}`,
    },
    {
      problem: { kind: 'refused', reason: 'mismatch' },
      status: 422,
      text: messages.en.passwordChange.refusals.mismatch,
    },
    {
      problem: { kind: 'throttled', retryAfterSeconds: 41.2 },
      status: 429,
      text: messages.en.signIn.throttled(41.2),
      retryAfter: '42',
    },
    {
      problem: { kind: 'unavailable', retryAfterSeconds: 5 },
      status: 503,
      text: messages.en.passwordChange.unavailable,
      retryAfter: '5',
    },
  ] as const;
  for (const { problem, status, text, ...more } of problems) {
    test(`answers ${status} and says why: ${problem?.kind ?? 'the password was right'}`, () => {
      const reply = page({ problem });
      assert.equal(reply.status, status);
      assert.equal(
        headerOf(reply.headers, 'Retry-After'),
        'retryAfter' in more ? more.retryAfter : undefined,
      );
      const notices = textOf(reply).match(/<p class="notice[^>]*>[^<]*</g);
      assert.equal(notices?.length, 1);
      assert.ok(notices?.[0]?.endsWith(`>${text}<`), notices?.[0]);
      const role = problem === undefined ? 'status' : 'alert';
      assert.ok(notices?.[0]?.includes(`role="${role}"`));
    });
  }

  test('links to the configured page, or says whom to ask, instead of a form', () => {
    const url = 'https://password.example.com/';
    const elsewhere = page({ way: { kind: 'elsewhere', url } });
    assert.ok(textOf(elsewhere).includes(`href="${url}"`));
    const nowhere = page({ way: { kind: 'nowhere' } });
    assert.ok(textOf(nowhere).includes(messages.en.passwordChange.nowhere));
    for (const reply of [elsewhere, nowhere]) assert.doesNotMatch(textOf(reply), /<form/);
  });

  test('keeps its structure whatever was typed', () => {
    const render = (value: string) =>
      structureOf(
        textOf(
          page({
            username: value,
            provider: value,
            returnTo: value,
            csrf: value,
            problem: { kind: 'rejected' },
          }),
        ),
      );
    const expected = render('x');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => assert.deepEqual(render(value), expected)),
    );
  });
});

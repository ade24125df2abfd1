import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GroupTable } from '#src/identity/group.ts';
import { languages } from '#src/portal/language.ts';
import { messages } from '#src/portal/messages/by-language.ts';
import { errorStatuses } from '#src/portal/messages/dictionary.ts';
import { createPages, type PageReply } from '#src/portal/pages.ts';
import { headerOf, readTags, structureOf } from './markup.ts';
import {
  assets,
  goneFormModel,
  keptFormModel,
  portalModel,
  portalPath,
  samplePages,
  samples,
  signInModel,
} from './sample-pages.ts';

const gatewayPaths = new Set([
  `${portalPath}/`,
  `${portalPath}/login`,
  `${portalPath}/logout`,
  `${portalPath}/password`,
  `${portalPath}/nowhere`,
  `${portalPath}/providers/keycloak/start`,
  `${portalPath}/providers/entra/start`,
]);

/** Where kept forms go, and the way back of those that are gone. */
const placesOfForms = new Set([keptFormModel.action, goneFormModel.backTo]);

function textOf(reply: PageReply): string {
  return reply.body.toString('utf8');
}

/** The value of an input, by its name. */
function fieldOf(reply: PageReply, name: string): ReadonlyMap<string, string> | undefined {
  return readTags(textOf(reply)).find((tag) => tag.attributes.get('name') === name && tag.name !== 'meta')
    ?.attributes;
}

for (const [name, render] of Object.entries(samples)) {
  for (const language of languages) {
    describe(`the page ${name} in ${language}`, () => {
      const reply = render(language);
      const page = textOf(reply);
      const tags = readTags(page);

      test('is well-formed, says its language and has a title and one heading', () => {
        assert.equal(tags[0]?.name, 'html');
        assert.equal(tags[0]?.attributes.get('lang'), language);
        assert.equal(headerOf(reply.headers, 'Content-Language'), language);
        assert.match(page, /<title>[^<]{3,} · Vratar<\/title>/);
        assert.equal(tags.filter((tag) => tag.name === 'h1').length, 1);
      });

      test('holds no code or style of its own', () => {
        for (const tag of tags) {
          assert.ok(!['script', 'style', 'iframe', 'object', 'base'].includes(tag.name), tag.name);
          for (const attribute of tag.attributes.keys()) assert.doesNotMatch(attribute, /^(on|style$)/);
        }
      });

      test('leads only to assets, to pages of the gateway and to applications', () => {
        for (const { attributes } of tags) {
          for (const attribute of ['href', 'src', 'action']) {
            const target = attributes.get(attribute);
            if (target === undefined || /^https:\/\/[a-z.]+\.example\.com\/$/.test(target)) continue;
            if (placesOfForms.has(target)) continue;
            const path = target.split('?', 1)[0] as string;
            assert.ok(assets.find(path) !== undefined || gatewayPaths.has(path), target);
          }
        }
      });

      test('has ids that are unique and references that exist', () => {
        const ids = tags.flatMap((tag) => tag.attributes.get('id') ?? []);
        assert.equal(new Set(ids).size, ids.length);
        for (const { attributes } of tags) {
          for (const attribute of ['for', 'aria-describedby', 'aria-labelledby']) {
            const id = attributes.get(attribute);
            if (id !== undefined) assert.ok(ids.includes(id), id);
          }
        }
      });

      test('is not stored and not framed', () => {
        assert.equal(headerOf(reply.headers, 'Cache-Control'), 'no-store');
        assert.equal(headerOf(reply.headers, 'Content-Type'), 'text/html; charset=utf-8');
        assert.equal(headerOf(reply.headers, 'X-Frame-Options'), 'DENY');
        assert.equal(headerOf(reply.headers, 'X-Content-Type-Options'), 'nosniff');
        assert.equal(headerOf(reply.headers, 'Vary'), 'Cookie, Accept-Language');
        const policy = headerOf(reply.headers, 'Content-Security-Policy') ?? '';
        assert.match(policy, /^default-src 'none';/);
        assert.match(policy, /frame-ancestors 'none'; base-uri 'none'/);
        assert.doesNotMatch(policy, /unsafe|script|\*(?!\.example\.com)(?!$| )/);
      });
    });
  }
}

describe('hostile values', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.constantFrom(
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      "' onfocus='x",
      '</title>',
      '\u202e\0',
    ),
  );
  const groups = new GroupTable();

  test('never change the structure of the sign-in page', () => {
    const render = (value: string) =>
      textOf(
        samplePages.signIn(
          {
            passwordProviders: [
              { name: value, title: value },
              { name: 'other', title: value },
            ],
            redirectProviders: [{ title: value, url: `/_vratar/providers/x/start?rd=${value}` }],
            returnTo: value,
            csrf: value,
            username: value,
            destination: { title: value, host: value },
            problem: { kind: 'rejected' },
          },
          'ru',
        ),
      );
    const expected = structureOf(render('x'));
    fc.assert(fc.property(hostile, (value) => assert.deepEqual(structureOf(render(value)), expected)));
  });

  test('never change the structure of the portal', () => {
    const render = (value: string) =>
      textOf(
        samplePages.portal(
          {
            ...portalModel,
            principal: {
              username: `${value}1`,
              displayName: value,
              email: value,
              groups: [groups.intern(value)],
              roles: [value],
              accessLevel: 'auditor',
            },
            providerTitle: value,
            applications: [{ title: value, host: value, url: value }],
            csrf: value,
          },
          'hr',
        ),
      );
    const expected = structureOf(render('x'));
    fc.assert(
      fc.property(hostile, (value) => {
        const page = render(value);
        assert.deepEqual(structureOf(page), expected);
        for (const { attributes } of readTags(page))
          assert.doesNotMatch(attributes.get('href') ?? '', /^\s*javascript:/i);
      }),
    );
  });

  test('never change the structure of the sign-out and error pages', () => {
    const render = (value: string) =>
      [
        samplePages.signOut({ name: value, csrf: value }, 'en'),
        samplePages.error(
          {
            status: 403,
            requestId: value,
            signedIn: { name: value, csrf: value },
            location: `/_vratar/${value}`,
          },
          'en',
        ),
      ].flatMap((reply) => structureOf(textOf(reply)));
    const expected = render('x');
    fc.assert(fc.property(hostile, (value) => assert.deepEqual(render(value), expected)));
  });
});

describe('the sign-in page', () => {
  test('has the fields of the contract', () => {
    const reply = samplePages.signIn(signInModel, 'en');
    assert.equal(reply.status, 200);
    assert.equal(fieldOf(reply, 'rd')?.get('value'), signInModel.returnTo);
    assert.equal(fieldOf(reply, 'csrf')?.get('value'), signInModel.csrf);
    assert.equal(fieldOf(reply, 'username')?.get('autocomplete'), 'username');
    assert.equal(fieldOf(reply, 'password')?.get('autocomplete'), 'current-password');
    assert.equal(fieldOf(reply, 'provider'), undefined);
    assert.doesNotMatch(textOf(reply), /role="alert"/);
  });

  test('starts at the username, and after a failure keeps it and starts at the password', () => {
    const fresh = samplePages.signIn(signInModel, 'en');
    assert.ok(fieldOf(fresh, 'username')?.has('autofocus'));
    assert.ok(!fieldOf(fresh, 'password')?.has('autofocus'));
    const again = samplePages.signIn(
      { ...signInModel, username: 'a"b', problem: { kind: 'rejected' } },
      'en',
    );
    assert.equal(fieldOf(again, 'username')?.get('value'), 'a"b');
    assert.ok(!fieldOf(again, 'username')?.has('autofocus'));
    assert.ok(fieldOf(again, 'password')?.has('autofocus'));
    assert.ok(!fieldOf(again, 'password')?.has('value'));
  });

  test('offers a menu when there are several password providers, with the last choice kept', () => {
    assert.doesNotMatch(textOf(samplePages.signIn(signInModel, 'en')), /<select/);
    const passwordProviders = [
      { name: 'corp', title: 'Corporate' },
      { name: 'staff', title: 'Staff' },
    ];
    const page = textOf(samplePages.signIn({ ...signInModel, passwordProviders, provider: 'staff' }, 'en'));
    const options = readTags(page).filter((tag) => tag.name === 'option');
    assert.deepEqual(
      options.map(({ attributes }) => [attributes.get('value'), attributes.has('selected')]),
      [
        ['', false],
        ['corp', false],
        ['staff', true],
      ],
    );
  });

  const problems = [
    { problem: { kind: 'rejected' }, status: 401, retryAfter: undefined, text: messages.en.signIn.rejected },
    {
      problem: { kind: 'throttled', retryAfterSeconds: 41.2 },
      status: 429,
      retryAfter: '42',
      text: messages.en.signIn.throttled(41.2),
    },
    {
      problem: { kind: 'unavailable', retryAfterSeconds: 0 },
      status: 503,
      retryAfter: '1',
      text: messages.en.signIn.unavailable,
    },
  ] as const;
  for (const { problem, status, retryAfter, text } of problems) {
    test(`answers ${status} and says in one alert why: ${problem.kind}`, () => {
      const reply = samplePages.signIn({ ...signInModel, problem }, 'en');
      assert.equal(reply.status, status);
      assert.equal(headerOf(reply.headers, 'Retry-After'), retryAfter);
      assert.equal(textOf(reply).split('role="alert"').length, 2);
      assert.ok(textOf(reply).includes(text));
    });
  }

  test('lets its form lead to the applications, and no other page does', () => {
    const policyOf = (reply: PageReply) => headerOf(reply.headers, 'Content-Security-Policy') ?? '';
    assert.match(
      policyOf(samplePages.signIn(signInModel, 'en')),
      /form-action 'self' https:\/\/\*\.example\.com:\*/,
    );
    for (const reply of [
      samplePages.portal(portalModel, 'en'),
      samplePages.error({ status: 404, requestId: '' }, 'en'),
    ]) {
      assert.match(policyOf(reply), /form-action 'self' https:\/\/login\.example\.com:\*$/);
    }
  });
});

describe('the error page', () => {
  for (const status of errorStatuses) {
    test(`explains ${status} and shows the request id`, () => {
      const reply = samplePages.error({ status, requestId: 'req-7' }, 'hr');
      assert.equal(reply.status, status);
      const { title, advice } = messages.hr.error.byStatus[status];
      for (const text of [title, advice, 'req-7', String(status)])
        assert.ok(textOf(reply).includes(text), text);
    });
  }

  test('explains other statuses as 400 or 500', () => {
    const textFor = (status: number) => textOf(samplePages.error({ status, requestId: '' }, 'en'));
    assert.ok(textFor(418).includes(messages.en.error.byStatus[400].title));
    assert.ok(textFor(507).includes(messages.en.error.byStatus[500].title));
  });

  test('offers another account only to somebody who is signed in and has a CSRF value', () => {
    const render = (signedIn: { name: string; csrf?: string } | undefined) =>
      textOf(samplePages.error({ status: 403, requestId: '', signedIn }, 'en'));
    assert.match(render({ name: 'Ann', csrf: 'c' }), /Ann[^]*action="\/_vratar\/logout"/);
    assert.doesNotMatch(render({ name: 'Ann' }), /<form/);
    assert.doesNotMatch(render(undefined), /signed in as/);
  });

  test('does not offer another account where that would not help', () => {
    const signedIn = { name: 'Ann', csrf: 'c' };
    for (const model of [{ status: 502 }, { status: 404 }, { status: 403, isFormExpired: true }]) {
      assert.doesNotMatch(
        textOf(samplePages.error({ requestId: '', signedIn, ...model }, 'en')),
        /Ann|<form/,
      );
    }
  });

  test('tells when to come back', () => {
    const reply = samplePages.error({ status: 503, requestId: '', retryAfterSeconds: 5 }, 'en');
    assert.equal(headerOf(reply.headers, 'Retry-After'), '5');
  });
});

describe('the portal', () => {
  test('links no tile to anything but http(s)', () => {
    const applications = [{ title: 'X', host: 'x', url: 'javascript:alert(1)' }];
    const page = textOf(samplePages.portal({ ...portalModel, applications }, 'en'));
    assert.match(page, /<a class="tile" href="about:invalid">/);
  });

  test('counts all groups and lists the first two hundred', () => {
    const table = new GroupTable();
    const groups = Array.from({ length: 1_001 }, (_, i) => table.intern(`group-${i}`));
    const page = textOf(
      samplePages.portal({ ...portalModel, principal: { ...portalModel.principal, groups } }, 'ru'),
    );
    assert.ok(page.includes(messages.ru.portal.groups(1_001)));
    assert.equal(page.match(/>group-\d+</g)?.length, 200);
    assert.ok(page.includes('+801'));
  });
});

test('a header list may be extended without touching the next page', () => {
  samplePages.portal(portalModel, 'en').headers.push('Set-Cookie', 'a=b');
  assert.equal(headerOf(samplePages.portal(portalModel, 'en').headers, 'Set-Cookie'), undefined);
});

test('a form target that is no origin is refused at construction', () => {
  for (const target of [
    "https://a.example; script-src 'unsafe-inline'",
    'javascript:x',
    'https://a.example/path',
    '*',
  ]) {
    assert.throws(
      () =>
        createPages({ portalPath, assets, formTargets: [target], signInOrigin: 'https://login.example.com' }),
      TypeError,
      target,
    );
  }
});

test('a form target that a policy cannot express is left out', () => {
  const pages = createPages({
    portalPath,
    assets,
    formTargets: ['http://[::1]:8080'],
    signInOrigin: 'http://127.0.0.1:8080',
  });
  const policy = headerOf(pages.signIn(signInModel, 'en').headers, 'Content-Security-Policy') ?? '';
  assert.match(policy, /form-action 'self' http:\/\/127\.0\.0\.1:\*$/);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { escapeHtml, type Html, html, raw } from '#src/lib/html.ts';

/** Any text, weighted towards the characters that matter to a tokenizer. */
const hostileText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        '<',
        '>',
        '"',
        "'",
        '&',
        '=',
        '`',
        '/',
        '!',
        '-',
        ' ',
        '\n',
        '\0',
        'a',
        'script',
        'onload',
        '&lt;',
        ']]>',
      ),
    )
    .map((parts) => parts.join('')),
);

/** What an HTML parser makes of escaped text. */
function unescape(text: string): string {
  const characters: Record<string, string> = { quot: '"', amp: '&', '#39': "'", lt: '<', gt: '>' };
  return text.replace(/&([^;&]*);/g, (whole, name: string) => characters[name] ?? whole);
}

describe('a value in a template', () => {
  test('leaves neither text nor attribute, whatever it holds', () => {
    fc.assert(
      fc.property(hostileText, hostileText, (inAttribute, inText) => {
        const page = html`<p title="${inAttribute}">${inText}</p>`.toString();
        const match = /^<p title="([^"<>']*)">([^"<>']*)<\/p>$/.exec(page);
        assert.ok(match, page);
        const [, attribute = '', text = ''] = match;
        for (const part of [attribute, text]) assert.doesNotMatch(part, /&(?!(quot|amp|#39|lt|gt);)/);
        assert.equal(unescape(attribute), inAttribute.replaceAll('\0', '\ufffd'));
        assert.equal(unescape(text), inText.replaceAll('\0', '\ufffd'));
      }),
    );
  });

  test('escapes the same text once, not once per nesting', () => {
    const inner = html`<b>${'a & b'}</b>`;
    assert.equal(html`<p>${inner}</p>`.toString(), '<p><b>a &amp; b</b></p>');
  });

  test('in a list is escaped item by item', () => {
    assert.equal(html`<p>${['<', html`<br>`, ['>']]}</p>`.toString(), '<p>&lt;<br>&gt;</p>');
  });

  test('that is absent or false leaves nothing', () => {
    assert.equal(html`<p title="${undefined}">${false}${undefined}${''}</p>`.toString(), '<p title=""></p>');
  });

  test('of zero is shown', () => {
    assert.equal(html`<p title="${0}">${0}</p>`.toString(), '<p title="0">0</p>');
  });
});

describe('a URL attribute', () => {
  const cases: readonly { url: string; kept: boolean }[] = [
    { url: 'https://wiki.example.com/a?b=1', kept: true },
    { url: 'http://127.0.0.1:8080/', kept: true },
    { url: '/_vratar/login', kept: true },
    { url: '?lang=ru', kept: true },
    { url: '#top', kept: true },
    { url: 'javascript:alert(1)', kept: false },
    { url: ' javascript:alert(1)', kept: false },
    { url: 'JaVaScRiPt:alert(1)', kept: false },
    { url: 'java\nscript:alert(1)', kept: false },
    { url: 'data:text/html,<script>', kept: false },
    { url: 'vbscript:x', kept: false },
    { url: '//evil.example', kept: false },
    { url: '/\\evil.example', kept: false },
    { url: '/\t/evil.example', kept: false },
    { url: '', kept: false },
  ];
  for (const { url, kept } of cases) {
    test(`${kept ? 'keeps' : 'replaces'} ${JSON.stringify(url)}`, () => {
      const expected = kept ? escapeHtml(url) : 'about:invalid';
      assert.equal(html`<a href="${url}">x</a>`.toString(), `<a href="${expected}">x</a>`);
    });
  }

  test('of two values judges the first, so that an empty one cannot hand the scheme to the second', () => {
    assert.equal(
      html`<a href="${''}${'javascript:x'}">x</a>`.toString(),
      '<a href="about:invalidjavascript:x">x</a>',
    );
    assert.equal(
      html`<a href="${undefined}${'javascript:x'}">x</a>`.toString().includes('"javascript'),
      false,
    );
  });
});

describe('a template refuses', () => {
  const text = 'x';
  const cases: readonly { name: string; render: () => Html }[] = [
    { name: 'a string between attributes', render: () => html`<p ${text}>a</p>` },
    { name: 'an unquoted attribute value', render: () => html`<p title=${text}>a</p>` },
    { name: 'a single-quoted attribute value', render: () => html`<p title='${text}'>a</p>` },
    { name: 'a string as element name', render: () => html`<${text}>a</p>` },
    { name: 'an event handler', render: () => html`<p onclick="${text}">a</p>` },
    { name: 'a style attribute', render: () => html`<p style="color: ${text}">a</p>` },
    { name: 'a script', render: () => html`<script>${text}</script>` },
    { name: 'a style sheet', render: () => html`<STYLE>${text}</STYLE>` },
    { name: 'a comment', render: () => html`<!-- ${text} -->` },
    { name: 'a URL whose scheme the value would complete', render: () => html`<a href="java${text}">a</a>` },
    { name: 'a URL that starts with a blank', render: () => html`<a href=" ${text}">a</a>` },
    { name: 'markup as attribute value', render: () => html`<p title="${html`<b>`}">a</p>` },
    { name: 'rendered markup between attributes', render: () => html`<p ${html`a`}>a</p>` },
    { name: 'an end inside a tag', render: () => html`<p title="${text}"` },
  ];
  for (const { name, render } of cases) test(name, () => assert.throws(render, TypeError));
});

describe('a constant', () => {
  test('may stand between attributes', () => {
    assert.equal(html`<input${raw` autofocus`}>`.toString(), '<input autofocus>');
    assert.equal(html`<input${false}>`.toString(), '<input>');
  });

  test('takes no values', () => {
    const withValue = raw as (strings: TemplateStringsArray, ...values: string[]) => Html;
    assert.throws(() => withValue`<b>${'x'}</b>`, TypeError);
  });
});

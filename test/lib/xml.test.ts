import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { elementAt, parseXml } from '#src/lib/xml-document.ts';
import { xml } from '#src/lib/xml-template.ts';

describe('writing', () => {
  test('text stays text, in elements and in attributes', () => {
    const nasty = `</a><b x="1">&amp;'"]]>`;
    const document = parseXml(xml`<a title="${nasty}">${nasty}</a>`.toString());
    assert.equal(document?.text, nasty);
    assert.equal(document?.attributes.get('title'), nasty);
    assert.deepEqual(document?.children, []);
  });

  test('what XML cannot hold becomes a space', () => {
    const document = parseXml(xml`<a>${'x\u000by\u0000z\ud800!\uffff'}</a>`.toString());
    assert.equal(document?.text, 'x y z ! ');
  });

  test('markup of our own stands in text, nothing stands for undefined', () => {
    assert.equal(xml`<a>${xml`<b/>`}${undefined}</a>`.toString(), '<a><b/></a>');
  });

  test('every string is read back as it was written, but for what XML cannot hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const expected = text.replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, ' ');
        const document = parseXml(xml`<a t="${text}">${text}</a>`.toString());
        assert.equal(document?.text, expected);
        assert.equal(document?.attributes.get('t'), expected);
      }),
    );
  });
});

describe('reading', () => {
  test('finds elements by name, without their namespaces', () => {
    const document = parseXml(
      '<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><s:E xmlns:s="u"><s:B><R><t>a &lt;&#x41;&#66;<![CDATA[<&]]></t></R></s:B></s:E>\n',
    );
    assert.ok(document !== undefined);
    assert.equal(document.name, 'E');
    assert.equal(elementAt(document, 'B', 'R', 't')?.text, 'a <AB<&');
    assert.equal(elementAt(document, 'B', 'X'), undefined);
  });

  const refused: readonly (readonly [name: string, source: string])[] = [
    ['nothing', ''],
    ['text alone', 'hello'],
    ['a document type', '<!DOCTYPE x><x/>'],
    ['an external entity', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'],
    ['nested entities', '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>'],
    ['an entity nobody declared', '<x>&e;</x>'],
    ['a bare ampersand', '<x>a & b</x>'],
    ['an instruction', '<x><?php echo 1 ?></x>'],
    ['an element that is not closed', '<x><y></x>'],
    ['two roots', '<x/><y/>'],
    ['text after the root', '<x/>y'],
    ['an attribute written twice', '<x a="1" a="2"/>'],
    ['an attribute without quotes', '<x a=1/>'],
    ['a comment without end', '<x><!-- </x>'],
    ['a reference to no character', '<x>&#0;</x>'],
    ['a reference to half a character', '<x>&#xD800;</x>'],
    ['a reference beyond Unicode', '<x>&#x110000;</x>'],
    ['a control character', '<x>\u0001</x>'],
    ['an unclosed end', '<x'],
    ['an end without a start', '</x>'],
    ['more than 64 KiB', `<x>${'a'.repeat(65_536)}</x>`],
    ['elements 33 deep', '<x>'.repeat(33) + '</x>'.repeat(33)],
    ['thousands of elements', `<x>${'<y/>'.repeat(2_000)}</x>`],
  ];
  for (const [name, source] of refused) {
    test(`refuses ${name}`, () => {
      assert.equal(parseXml(source), undefined);
    });
  }

  test('takes no longer for what is made to take long', () => {
    const attacks = [
      `<a${' '.repeat(60_000)}b`,
      `<a ${'b="c" '.repeat(10_000)}`,
      '<'.repeat(60_000),
      '<a:'.repeat(20_000),
      `<${'a.'.repeat(30_000)}`,
      '&'.repeat(60_000),
      `<a>${'&#1'.repeat(20_000)}</a>`,
    ];
    const before = process.cpuUsage();
    for (const source of attacks) assert.equal(parseXml(source), undefined);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 1_000_000, `${user} µs`);
  });

  test('agrees with another parser about what is well-formed, and about every text', () => {
    const pieces = fc.constantFrom(
      '<a>',
      '</a>',
      '<b/>',
      '<a x="1">',
      'text',
      '&amp;',
      '&#65;',
      ' ',
      '<!-- c -->',
    );
    const sources = fc
      .sample(fc.array(pieces, { maxLength: 8 }), 400)
      .map((list) => `<r>${list.join('')}</r>`);
    const program =
      'import sys,json,xml.etree.ElementTree as E\n' +
      'def p(s):\n  try: return "".join(E.fromstring(s).itertext())\n  except E.ParseError: return None\n' +
      'print(json.dumps([p(s) for s in json.load(sys.stdin)]))';
    const other = JSON.parse(
      execFileSync('python3', ['-c', program], { input: JSON.stringify(sources), encoding: 'utf8' }),
    ) as (string | null)[];
    const ours = sources.map((source) => textOf(source));
    // Texts of parents and children come in another order: their letters are compared.
    const sorted = (text: string | null): string | null => text && Array.from(text).toSorted().join('');
    assert.deepEqual(ours.map(sorted), other.map(sorted));
    assert.ok(other.some((text) => text !== null) && other.includes(null));
  });
});

function textOf(source: string): string | null {
  const document = parseXml(source);
  if (document === undefined) return null;
  const all = (element: typeof document): string => element.text + element.children.map(all).join('');
  return all(document);
}

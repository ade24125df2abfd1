/** A reader of our own pages, stricter than a browser: whatever it cannot read is a mistake in the page. */
import assert from 'node:assert/strict';

export interface Tag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

const voidElements = new Set(['meta', 'link', 'input', 'img', 'br', 'wbr']);
const token = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)>|[^<>]+/gy;

/** All start tags in document order. Throws when tags do not nest or a bracket stands anywhere else. */
export function readTags(page: string): readonly Tag[] {
  const doctype = '<!doctype html>';
  assert.ok(page.startsWith(doctype), 'starts with the doctype');
  const open: string[] = [];
  const tags: Tag[] = [];
  token.lastIndex = doctype.length;
  while (token.lastIndex < page.length) {
    const at = token.lastIndex;
    const match = token.exec(page);
    assert.ok(match, `unreadable at ${JSON.stringify(page.slice(at, at + 80))}`);
    const [, slash, name, attributes = ''] = match;
    if (name === undefined) continue;
    if (slash === '/') {
      assert.equal(open.pop(), name, 'tags nest');
    } else {
      if (!voidElements.has(name)) open.push(name);
      tags.push({ name, attributes: readAttributes(attributes) });
    }
  }
  assert.deepEqual(open, [], 'every tag is closed');
  return tags;
}

function readAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(/\s+([a-z-]+)(?:="([^"]*)")?/g)) {
    assert.ok(!attributes.has(name), `attribute ${name} twice`);
    attributes.set(
      name,
      value
        .replaceAll('&quot;', '"')
        .replaceAll('&#39;', "'")
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>')
        .replaceAll('&amp;', '&'),
    );
  }
  return attributes;
}

/** Tags and attribute names without any value: what must not depend on what people type or directories hold. */
export function structureOf(page: string): readonly string[] {
  return readTags(page)
    .filter(({ name }) => name !== 'wbr')
    .map(({ name, attributes }) => `${name} ${[...attributes.keys()].join(' ')}`);
}

/** Value of a flat header list; fails when the name is there twice. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  const values = headers.filter(
    (_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name.toLowerCase(),
  );
  assert.ok(values.length <= 1, `${name} is there ${values.length} times`);
  return values[0];
}

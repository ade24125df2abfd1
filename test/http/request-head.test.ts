import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAuthority } from '#src/http/host.ts';
import { isNavigation } from '#src/http/navigation.ts';
import { HeadReader, type RequestHead, type SingleField } from '#src/http/request-head.ts';

const heads = new HeadReader();

describe('reading a head', () => {
  test('stays right and bounded whatever names come', () => {
    for (let i = 0; i < 5_000; i++) heads.read([`X-Name-${i}`, 'x']);
    assert.equal(heads.read(['hOsT', 'a']).host, 'a');
    assert.equal(heads.read(['__proto__', 'x', 'constructor', 'y', 'Host', 'b']).host, 'b');
  });

  test('takes fields in any case', () => {
    const head = heads.read(['HOST', 'a', 'x-ORIGINAL-url', 'https://a/', 'X-Forwarded-Method', 'GET']);
    assert.equal(head.host, 'a');
    assert.equal(head.originalUrl, 'https://a/');
    assert.equal(head.forwardedMethod, 'GET');
  });

  const once: Record<string, SingleField> = {
    Host: 'host',
    Authorization: 'authorization',
    'Content-Length': 'contentLength',
    'Content-Type': 'contentType',
    'Transfer-Encoding': 'transferEncoding',
    Origin: 'origin',
    'X-Forwarded-Proto': 'forwardedProto',
    'X-Forwarded-Host': 'forwardedHost',
    'X-Forwarded-Method': 'forwardedMethod',
    'X-Forwarded-Uri': 'forwardedUri',
    'X-Original-Url': 'originalUrl',
    'X-Original-Uri': 'originalUri',
    'X-Original-Method': 'originalMethod',
  };
  for (const [name, field] of Object.entries(once)) {
    test(`${name} is itself, and a second one is doubt about it alone`, () => {
      const head = heads.read([name, 'first', name, 'second']);
      assert.equal(head[field], 'first');
      assert.deepEqual(head.duplicates, new Set([field]));
    });
  }

  const lists: Record<string, keyof RequestHead> = {
    Accept: 'accept',
    Forwarded: 'forwarded',
    'X-Forwarded-For': 'forwardedFor',
  };
  for (const [name, field] of Object.entries(lists)) {
    test(`several ${name} are one list`, () => {
      const head = heads.read([name, 'first', name, 'second']);
      assert.equal(head[field], 'first, second');
      assert.equal(head.duplicates, undefined);
    });
  }

  const last: Record<string, keyof RequestHead> = {
    'Accept-Language': 'acceptLanguage',
    'User-Agent': 'userAgent',
    'Sec-Fetch-Mode': 'secFetchMode',
    'Sec-Fetch-Site': 'secFetchSite',
    'X-Requested-With': 'requestedWith',
  };
  for (const [name, field] of Object.entries(last)) {
    test(`of several ${name} the last one counts`, () => {
      const head = new HeadReader({ readsUserAgent: true }).read([name, 'first', name, 'second']);
      assert.equal(head[field], 'second');
      assert.equal(head.duplicates, undefined);
    });
  }

  test('reads the User-Agent only where it is told to', () => {
    assert.equal(heads.read(['User-Agent', 'curl']).userAgent, undefined);
  });

  test('passes over names that only look alike', () => {
    const head = heads.read(['X_Forwarded_Uri', '/a', 'X-Original_URL', '/b', 'Hosts', 'c', 'Hos', 'd']);
    assert.equal(head.forwardedUri, undefined);
    assert.equal(head.originalUrl, undefined);
    assert.equal(head.host, undefined);
  });

  test('remembers that a single-valued field came twice, and keeps the first', () => {
    const head = heads.read(['Host', 'a', 'host', 'b']);
    assert.equal(head.host, 'a');
    assert.ok(head.isDuplicate('host'));
    assert.ok(!head.isDuplicate('origin'));
  });

  test('joins several Cookie fields, and several X-Forwarded-For', () => {
    const head = heads.read([
      'Cookie',
      'a=1',
      'cookie',
      'b=2',
      'X-Forwarded-For',
      '1.1.1.1',
      'X-Forwarded-For',
      '2.2.2.2',
    ]);
    assert.equal(head.cookie, 'a=1; b=2');
    assert.equal(head.forwardedFor, '1.1.1.1, 2.2.2.2');
  });
});

describe('a browser navigation', () => {
  const rows: { name: string; raw: string[]; expect: boolean }[] = [
    { name: 'says so in Sec-Fetch-Mode', raw: ['Sec-Fetch-Mode', 'navigate'], expect: true },
    {
      name: 'is not a fetch call, whatever it accepts',
      raw: ['Sec-Fetch-Mode', 'cors', 'Accept', 'text/html'],
      expect: false,
    },
    { name: 'of an older browser accepts HTML', raw: ['Accept', 'text/html,*/*;q=0.8'], expect: true },
    {
      name: 'is not an XMLHttpRequest',
      raw: ['Accept', 'text/html', 'X-Requested-With', 'XMLHttpRequest'],
      expect: false,
    },
    { name: 'is not a bare program', raw: ['Accept', '*/*'], expect: false },
    { name: 'is not a request without Accept', raw: [], expect: false },
  ];
  for (const { name, raw, expect } of rows)
    test(name, () => assert.equal(isNavigation(heads.read(raw)), expect));
});

describe('a host', () => {
  const rows: { text: string; host?: string; port?: string }[] = [
    { text: 'app.example.test', host: 'app.example.test', port: '' },
    { text: 'APP.Example.test:8443', host: 'app.example.test', port: '8443' },
    { text: 'app.example.test.', host: 'app.example.test', port: '' },
    { text: '[2001:DB8::1]:80', host: '[2001:db8::1]', port: '80' },
    { text: '127.0.0.1:1', host: '127.0.0.1', port: '1' },
    { text: '' },
    { text: '.' },
    { text: 'a b' },
    { text: 'a,b' },
    { text: 'user@app' },
    { text: 'app/path' },
    { text: 'app:' },
    { text: 'app:99999' },
    { text: 'app:80:80' },
    { text: 'app\\evil' },
    { text: 'a'.repeat(300) },
    { text: '[::1' },
  ];
  for (const { text, host, port } of rows) {
    test(`${JSON.stringify(text.slice(0, 30))} is ${host ?? 'refused'}`, () => {
      assert.deepEqual(parseAuthority(text), host === undefined ? undefined : { host, port });
    });
  }
});

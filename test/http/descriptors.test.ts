import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxClientConnections } from '#src/http/descriptors.ts';

const limits = (openFiles: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units\n` +
  `Max cpu time              unlimited            unlimited            seconds\n` +
  `Max open files            ${openFiles}                files\n`;

test('clients get a share of the descriptors, the rest is for what the gateway opens itself', () => {
  assert.equal(maxClientConnections(limits('1024                 4096')), 614);
});

test('no limit, or none that can be read, is none', () => {
  assert.equal(maxClientConnections(limits('unlimited            unlimited')), undefined);
  assert.equal(maxClientConnections(''), undefined);
});

test('this process has one', () => {
  assert.ok((maxClientConnections() ?? 0) > 100);
});

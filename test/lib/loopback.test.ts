import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback } from '#src/lib/loopback.ts';

for (const host of [
  '127.0.0.1',
  '127.9.9.9',
  '::1',
  '[::1]',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  new URL('http://[::ffff:127.0.0.1]').hostname,
  'localhost',
  'LOCALHOST',
]) {
  test(`what is sent to ${host} never leaves the machine`, () => {
    assert.ok(isLoopback(host));
  });
}

for (const host of [
  '10.0.0.1',
  '::2',
  '1::1',
  '[2001:db8::1]',
  '128.0.0.1',
  'localhost.example.com',
  '127.example.com',
  '::ffff:10.0.0.1',
  '::ffff:7f:1',
]) {
  test(`what is sent to ${host} leaves the machine`, () => {
    assert.ok(!isLoopback(host));
  });
}

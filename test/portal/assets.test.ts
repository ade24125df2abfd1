import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAssets } from '#src/portal/assets.ts';
import { headerOf } from './markup.ts';

const assets = createAssets('/gate');

test('an asset is found under its address and may be kept for ever', () => {
  const path = assets.url('portal.css');
  assert.match(path, /^\/gate\/assets\/portal\.[A-Za-z0-9_-]{12}\.css$/);
  const asset = assets.find(path);
  assert.ok(asset);
  assert.match(asset.body.toString(), /prefers-color-scheme: dark/);
  assert.equal(headerOf(asset.headers, 'Content-Type'), 'text/css; charset=utf-8');
  assert.equal(headerOf(asset.headers, 'Cache-Control'), 'public, max-age=31536000, immutable');
});

test('the mark is an image that can run nothing', () => {
  const asset = assets.find(assets.url('mark.svg'));
  assert.equal(asset?.type, 'image/svg+xml');
  assert.match(headerOf(asset?.headers ?? [], 'Content-Security-Policy') ?? '', /^default-src 'none'/);
});

test('nothing is found under other names, versions or ways to write a path', () => {
  const path = assets.url('portal.css');
  for (const other of [
    '/gate/assets/portal.css',
    '/gate/assets/portal.AAAAAAAAAAAA.css',
    '/gate/assets/../assets.ts',
    `${path}?x`,
    `${path}/`,
    path.toUpperCase(),
    '/gate/assets/__proto__',
    '',
  ]) {
    assert.equal(assets.find(other), undefined, other);
  }
});

/** The stylesheet and the mark: read once, served for ever under names that change with their content. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const files = {
  'portal.css': 'text/css; charset=utf-8',
  'mark.svg': 'image/svg+xml',
} as const;
export type AssetName = keyof typeof files;

export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  /** All header fields, flat, Content-Type included. */
  readonly headers: readonly string[];
}

export interface Assets {
  /** `path` is the path of the request without its query; `undefined`: no such asset, also for names of other versions. */
  find(path: string): Asset | undefined;
  url(name: AssetName): string;
}

/** Reads the files beside this module; throws what `readFileSync` throws when the installation is incomplete. */
export function createAssets(portalPath: string): Assets {
  const byPath = new Map<string, Asset>();
  const urls = new Map<string, string>();
  for (const [name, type] of Object.entries(files)) {
    const body = readFileSync(new URL(`assets/${name}`, import.meta.url));
    const hash = createHash('sha256').update(body).digest('base64url').slice(0, 12);
    const dot = name.lastIndexOf('.');
    const path = `${portalPath}/assets/${name.slice(0, dot)}.${hash}${name.slice(dot)}`;
    byPath.set(path, { body, type, headers: assetHeaders(type) });
    urls.set(name, path);
  }
  return {
    find: (path) => byPath.get(path),
    url: (name) => urls.get(name) as string,
  };
}

function assetHeaders(type: string): readonly string[] {
  return [
    'Content-Type',
    type,
    'Cache-Control',
    'public, max-age=31536000, immutable',
    'X-Content-Type-Options',
    'nosniff',
    'Cross-Origin-Resource-Policy',
    'same-origin',
    // An SVG opened as a page of its own must not be able to run anything either.
    'Content-Security-Policy',
    "default-src 'none'; frame-ancestors 'none'",
  ];
}

/** Header fields of every page: what the browser may load, where forms may lead, and that nothing is stored. */
import type { Language } from './language.ts';

/**
 * Fields that are the same on all pages, as a flat list of names and values.
 * Referrer-Policy is `same-origin`, not `no-referrer`: under the latter browsers post forms with `Origin: null`
 * (Fetch, "append a request Origin header"), and the check of foreign origins would refuse our own form.
 */
export const securityHeaders: readonly string[] = [
  'X-Content-Type-Options',
  'nosniff',
  'X-Frame-Options',
  'DENY',
  'Referrer-Policy',
  'same-origin',
  'Cross-Origin-Opener-Policy',
  'same-origin',
  'Cross-Origin-Resource-Policy',
  'same-origin',
  'Permissions-Policy',
  'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
];

const contentSecurityStart =
  "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/**
 * The policy of a page whose form may lead, by redirect, to the given origins (`https://wiki.example.com`,
 * `https://*.example.com`, with or without a port): Chromium applies form-action to redirects too, so the return to an
 * application on another host needs its origin here. Ports are opened, as hosts are compared without them everywhere.
 * Origins that the policy cannot express (IPv6 literals) are left out. Throws TypeError for anything but an http(s) origin.
 */
export function contentSecurityPolicy(formTargets: readonly string[]): string {
  const sources = new Set<string>();
  for (const origin of formTargets) {
    const match = /^(https?:\/\/)(?:(\[[0-9a-f:]+\])|((?:\*\.)?[a-z0-9.-]+))(?::\d+)?$/.exec(origin);
    if (match === null) throw new TypeError(`not an origin a form may lead to: ${JSON.stringify(origin)}`);
    if (match[3] !== undefined) sources.add(`${match[1]}${match[3]}:*`);
  }
  return [contentSecurityStart, ...sources].join(' ');
}

/** A fresh flat list, so that the caller may add Set-Cookie and the like. */
export function pageHeaders(policy: string, language: Language): string[] {
  return [
    'Content-Type',
    'text/html; charset=utf-8',
    'Content-Language',
    language,
    'Cache-Control',
    'no-store',
    'Vary',
    'Cookie, Accept-Language',
    'Content-Security-Policy',
    policy,
    ...securityHeaders,
  ];
}

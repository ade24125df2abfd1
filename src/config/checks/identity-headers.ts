/** Headers the gateway is told to set: none that HTTP or the proxy needs, no two that an application sees as one. */
import type { HeadersOptions } from '../../headers/options.ts';
import { presets } from '../../headers/presets.ts';
import { foldHeaderName } from '../../headers/strip.ts';
import { isKnownPlaceholder, templatePlaceholders } from '../../headers/template.ts';
import type { ConfigPath, Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';
import { suggest } from '../suggestion.ts';

/** Framing, routing, credentials and what the gateway itself says about the request. */
const reservedNames = new Set(
  (
    'host connection keep-alive te trailer transfer-encoding upgrade expect date cookie set-cookie authorization ' +
    'www-authenticate forwarded via x-real-ip x-rewrite-url x-http-method x-http-method-override ' +
    'x-method-override origin referer range'
  ).split(' '),
);
const reservedPrefixes = [
  'proxy-',
  'content-',
  'accept',
  'if-',
  'sec-',
  'x-forwarded-',
  'x-original-',
  'x-vratar-',
];

const presetNames: ReadonlySet<string> = new Set(
  Object.values(presets).flatMap((headers) => Object.keys(headers).map(foldHeaderName)),
);

const facts = ['provider', 'subject', 'username', 'email', 'displayName', 'givenName', 'familyName'];
const knownFacts = [...facts, 'groups', 'roles', 'accessLevel'];

export function checkIdentityHeaders({ applications, directories }: Readable): readonly Finding[] {
  const attributes = new Set(
    directories.flatMap((directory) => Object.keys(directory?.users.attributes ?? {})),
  );
  // An unreadable directory may declare the attribute: that is its own problem, not a second one here.
  const areAttributesKnown = directories.every((directory) => directory !== undefined);
  return applications.flatMap((application, index): readonly Finding[] => {
    if (application === undefined) return [];
    const above: ConfigPath = ['applications', index, 'headers', 'set'];
    return [
      ...nameFindings(application.headers, above),
      ...Object.entries(application.headers.set).flatMap(([name, template]) =>
        templateFaults(template, areAttributesKnown ? attributes : undefined).map((message) => ({
          path: [...above, name],
          message,
        })),
      ),
    ];
  });
}

function nameFindings({ set, preset }: HeadersOptions, above: ConfigPath): readonly Finding[] {
  const spelling = new Map<string, string>();
  for (const name of Object.keys(presets[preset])) spelling.set(foldHeaderName(name), name.toLowerCase());
  const written = new Set<string>();
  return Object.keys(set).flatMap((name): readonly Finding[] => {
    const path = [...above, name];
    const folded = foldHeaderName(name);
    if (isReserved(folded)) return [{ path, message: 'is a header the gateway must not set', atKey: true }];
    const other = spelling.get(folded);
    spelling.set(folded, name.toLowerCase());
    const isTwin = written.has(folded) || (other !== undefined && other !== name.toLowerCase());
    written.add(folded);
    // `X-User` and `X_User` are one variable for CGI and WSGI applications.
    return isTwin
      ? [{ path, message: 'is the same header as another one, for applications', atKey: true }]
      : [];
  });
}

function isReserved(folded: string): boolean {
  if (presetNames.has(folded)) return false;
  return reservedNames.has(folded) || reservedPrefixes.some((prefix) => folded.startsWith(prefix));
}

function templateFaults(template: string, attributes: ReadonlySet<string> | undefined): readonly string[] {
  const placeholders = templatePlaceholders(template);
  if (template.split('${').length - 1 !== placeholders.length)
    return ['a placeholder is not closed with "}"'];
  return placeholders.flatMap((placeholder): readonly string[] => {
    if (!isKnownPlaceholder(placeholder)) {
      const meant = suggest(placeholder, knownFacts);
      const hint =
        meant === undefined
          ? `; known: ${knownFacts.join(', ')}, attributes.NAME`
          : `; did you mean \${${meant}}?`;
      return [`unknown placeholder \${${placeholder}}${hint}`];
    }
    if (!placeholder.startsWith('attributes.') || attributes === undefined) return [];
    const attribute = placeholder.slice('attributes.'.length);
    if (attributes.has(attribute)) return [];
    return [`no directory declares "${attribute}" under users.attributes`];
  });
}

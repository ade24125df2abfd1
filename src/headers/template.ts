/**
 * Header templates such as `${displayName} (${attributes.department})`, parsed once into closures.
 * Values are inserted, never parsed again: a name that contains `${…}` stays text.
 */
import type { Principal } from '../identity/principal.ts';
import { hasControls } from './encoding.ts';

/** What a template renders to: the facts it found, still unencoded. A list stays a list until it is joined. */
export type RenderedValue = string | readonly string[];
export type Template = (principal: Principal) => RenderedValue;

const single: Record<string, (principal: Principal) => string | undefined> = {
  provider: ({ provider }) => provider,
  subject: ({ subject }) => identifier(subject),
  username: ({ username }) => identifier(username),
  email: ({ email }) => (email === undefined ? undefined : identifier(email)),
  displayName: ({ displayName }) => displayName,
  givenName: ({ givenName }) => givenName,
  familyName: ({ familyName }) => familyName,
  accessLevel: ({ accessLevel }) => accessLevel,
};

/** One spelling of composed letters, and never a repaired name: without its control characters it could be somebody else's. */
function identifier(text: string): string {
  return hasControls(text) ? '' : text.normalize('NFC');
}

export interface TemplateLists {
  /** Group names as this application wants them. */
  readonly groups: (principal: Principal) => readonly string[];
}

/** Placeholders of a template, for the configuration check. */
export function templatePlaceholders(text: string): readonly string[] {
  return [...text.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1] as string);
}

/** Whether a placeholder names a fact of a principal; `attributes.NAME` is one for every NAME. */
export function isKnownPlaceholder(placeholder: string): boolean {
  return (
    Object.hasOwn(single, placeholder) ||
    placeholder === 'groups' ||
    placeholder === 'roles' ||
    /^attributes\.[A-Za-z][A-Za-z0-9-]*$/.test(placeholder)
  );
}

/** A template that is exactly one list placeholder renders to the list; inside text a list is joined by commas. */
export function compileTemplate(text: string, lists: TemplateLists): Template {
  const whole = /^\$\{([^}]*)\}$/.exec(text);
  if (whole !== null) return compilePlaceholder(whole[1] as string, lists);
  const parts = text.split(/(\$\{[^}]*\})/).map((part): Template => {
    const placeholder = /^\$\{([^}]*)\}$/.exec(part)?.[1];
    return placeholder === undefined ? () => part : compilePlaceholder(placeholder, lists);
  });
  return (principal) =>
    parts
      .map((part) => {
        const value = part(principal);
        return typeof value === 'string' ? value : value.join(',');
      })
      .join('');
}

function compilePlaceholder(placeholder: string, lists: TemplateLists): Template {
  if (placeholder === 'groups') return lists.groups;
  if (placeholder === 'roles') return ({ roles }) => roles;
  if (placeholder.startsWith('attributes.')) {
    const name = placeholder.slice('attributes.'.length);
    return ({ attributes }) => (Object.hasOwn(attributes, name) ? (attributes[name] ?? []) : []);
  }
  const fact = single[placeholder];
  if (fact === undefined) throw new RangeError(`unknown placeholder \${${placeholder}}`);
  return (principal) => fact(principal) ?? '';
}

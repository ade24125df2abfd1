/** The identity headers of one application, compiled once: principal in, flat header list out. */
import type { Principal } from '../identity/principal.ts';
import { assertionHeader } from './asserted.ts';
import { encodeList, encodeValue } from './encoding.ts';
import type { HeadersOptions } from './options.ts';
import { presets } from './presets.ts';
import { compileTemplate, type RenderedValue, type Template } from './template.ts';

/** Tells an application that the list of groups did not fit: carries their number. */
export const groupsOverflowHeader = 'Remote-Groups-Overflow';

export interface HeaderInjector {
  /** Every header this application may receive from the gateway, in the order it is sent. */
  readonly names: readonly string[];
  /**
   * Names and values for a principal; `undefined` for an anonymous request. A missing value is `''`:
   * forward-auth sends it empty (so that the proxy overwrites what the client sent), the reverse proxy leaves it out.
   */
  render(principal: Principal | undefined): readonly (readonly [name: string, value: string])[];
}

export function compileInjector(options: HeadersOptions): HeaderInjector {
  const lists = { groups: compileGroups(options) };
  const templates = { ...presets[options.preset], ...options.set };
  const headers = Object.entries(templates).map(([name, text]): readonly [string, Template] => [
    name,
    compileTemplate(text, lists),
  ]);
  // The assertion is made apart and later: here it only has its place.
  const last = options.assertion ? [assertionHeader] : [];
  const names = [...headers.map(([name]) => name), groupsOverflowHeader, ...last];
  const anonymous = names.map((name): readonly [string, string] => [name, '']);

  return {
    names,
    render: (principal) => {
      if (principal === undefined) return anonymous;
      let overflow = '';
      const rendered = headers.map(([name, template]): readonly [string, string] => {
        const value = template(principal);
        const text = encode(value, options);
        if (typeof value === 'string' || text.length <= options.maxListBytes) return [name, text];
        overflow = String(value.length);
        return [name, ''];
      });
      return [
        ...rendered,
        [groupsOverflowHeader, overflow],
        ...last.map((name): readonly [string, string] => [name, '']),
      ];
    },
  };
}

/** Groups for the assertion: the ones the headers carry, under the same limit. */
export function assertedGroups(
  options: HeadersOptions,
): (principal: Principal) => { groups: readonly string[] | undefined; groupsOverflow: number | undefined } {
  const groupsOf = compileGroups(options);
  return (principal) => {
    const groups = groupsOf(principal);
    return encode(groups, options).length <= options.maxListBytes
      ? { groups, groupsOverflow: undefined }
      : { groups: undefined, groupsOverflow: groups.length };
  };
}

/** The groups an application is told of, in the form it wants. */
function compileGroups(options: HeadersOptions): (principal: Principal) => readonly string[] {
  const sendsGroup = compileGroupFilter(options.groups);
  return ({ groups }) =>
    groups
      .filter(({ name }) => sendsGroup(name))
      .map(({ name, dn }) => (options.groupNames === 'dn' ? (dn ?? name) : name));
}

function encode(value: RenderedValue, options: HeadersOptions): string {
  return typeof value === 'string'
    ? encodeValue(value, options.encoding)
    : encodeList(value, options.separator, options.encoding);
}

/** Group patterns are names with `*` for any run of characters, compared without case. */
function compileGroupFilter(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.includes('*')) return () => true;
  const expressions = patterns.map(
    (pattern) =>
      new RegExp(
        `^${pattern
          .split('*')
          .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*')}$`,
        'iu',
      ),
  );
  return (name) => expressions.some((expression) => expression.test(name));
}

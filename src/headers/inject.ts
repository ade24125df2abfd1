/** The identity headers of one application, compiled once: principal in, flat header list out. */
import type { Principal } from '../identity/principal.ts';
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
  const sendsGroup = compileGroupFilter(options.groups);
  const lists = {
    groups: (principal: Principal): readonly string[] =>
      principal.groups
        .filter(({ name }) => sendsGroup(name))
        .map(({ name, dn }) => (options.groupNames === 'dn' ? (dn ?? name) : name)),
  };
  const templates = { ...presets[options.preset], ...options.set };
  const headers = Object.entries(templates).map(([name, text]): readonly [string, Template] => [
    name,
    compileTemplate(text, lists),
  ]);
  const names = [...headers.map(([name]) => name), groupsOverflowHeader];
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
      return [...rendered, [groupsOverflowHeader, overflow]];
    },
  };
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

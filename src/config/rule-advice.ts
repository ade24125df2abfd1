/** Rules that never decide anything, and rules that open again what an earlier one restricted. */
import type { RuleOptions } from '../access/options.ts';
import type { Finding } from './problem.ts';
import type { Readable } from './readable.ts';

export function adviceOnRules({ applications, roles }: Readable): readonly Finding[] {
  const granted = new Set(roles.flatMap((role) => role?.grant.roles ?? []));
  // An entry that could not be read may grant the role.
  const areGrantsKnown = roles.every((role) => role !== undefined);
  return applications.flatMap((application, index): readonly Finding[] => {
    if (application === undefined) return [];
    const { rules } = application;
    if (rules.length === 0) {
      return [{ path: ['applications', index, 'name'], message: 'has no rules: every request is denied' }];
    }
    return rules.flatMap((rule, position): readonly Finding[] => {
      const path = ['applications', index, 'rules', position];
      const findings: Finding[] = [];
      const earlier = rules.slice(0, position);
      const covering = earlier.findIndex((before) => covers(before, rule));
      const restricting = earlier.findLastIndex((before) => isReopened(before, rule));
      if (covering >= 0) {
        findings.push({ path, message: `never decides: rules[${covering}] matches everything it matches` });
      } else if (restricting >= 0) {
        findings.push({
          path,
          message: `is more open than rules[${restricting}] for the same path; requests which that rule does not match are let in here`,
        });
      }
      const { access } = rule;
      if (areGrantsKnown && typeof access === 'object') {
        access.roles?.forEach((role, entry) => {
          if (granted.has(role)) return;
          findings.push({
            path: [...path, 'access', 'roles', entry],
            message: `nothing under roles grants "${role}"`,
          });
        });
      }
      return findings;
    });
  });
}

/** Whether every request that matches `rule` matches `before` first. */
function covers(before: RuleOptions, rule: RuleOptions): boolean {
  return (
    coversPaths(before.paths, rule.paths) &&
    coversList(withHead(before.methods), withHead(rule.methods)) &&
    coversList(before.networks, rule.networks)
  );
}

function coversPaths(before: readonly string[] | undefined, paths: readonly string[] | undefined): boolean {
  if (before === undefined) return true;
  if (before.includes('/**')) return true;
  if (paths === undefined) return false;
  return paths.every((path) => before.some((glob) => coversPath(glob, path)));
}

function coversPath(glob: string, path: string): boolean {
  if (glob === path) return true;
  if (!glob.endsWith('/**')) return false;
  const below = glob.slice(0, -2);
  return !below.includes('*') && path.startsWith(below);
}

function coversList(before: readonly string[] | undefined, list: readonly string[] | undefined): boolean {
  if (before === undefined) return true;
  return list !== undefined && list.every((entry) => before.includes(entry));
}

function withHead(methods: readonly string[] | undefined): readonly string[] | undefined {
  return methods?.includes('GET') ? [...methods, 'HEAD'] : methods;
}

function isReopened(before: RuleOptions, rule: RuleOptions): boolean {
  return opennessOf(rule) > opennessOf(before) && sharesPath(before.paths, rule.paths);
}

function sharesPath(before: readonly string[] | undefined, paths: readonly string[] | undefined): boolean {
  if (before === undefined || paths === undefined) return before === paths;
  return before.some((path) => paths.includes(path));
}

function opennessOf({ access }: RuleOptions): number {
  if (typeof access === 'object') return 1;
  return { deny: 0, authenticated: 2, public: 3 }[access];
}

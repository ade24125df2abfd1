/** An explanation as lines that people read: one fact per line, one line per rule. */
import type { Decision } from '../access/decision.ts';
import type { ReadingExplanation, RuleExplanation } from '../access/explanation.ts';
import type { ApplicationOptions, RuleOptions } from '../access/options.ts';
import type { JudgedRequest } from '../access/rules.ts';
import type { Target } from '../http/target.ts';
import type { Principal } from '../identity/principal.ts';

export interface Explained {
  readonly application: ApplicationOptions;
  readonly request: JudgedRequest;
  readonly target: Target;
  readonly principal: Principal | undefined;
  readonly readings: readonly ReadingExplanation[];
  readonly decision: Decision;
}

export function explanationText(explained: Explained): string {
  const { application, request, target, principal, readings, decision } = explained;
  return [
    fact(
      'application',
      `${application.name} (${application.hosts.join(', ')}, below ${application.pathPrefix})`,
    ),
    fact(
      'canonical',
      target.canonical === target.path ? target.path : `${target.canonical} (sent: ${target.path})`,
    ),
    ...readings.map(({ path }, i) => fact(i === 0 ? 'judged as' : '', path)),
    fact('person', describePerson(principal)),
    fact('client', request.clientAddress),
    ...judgements(explained),
    '',
    ...refusals(decision, explained),
    `decision: ${decision.kind} (${decision.reason})${decision.rule === undefined ? '' : `, rule ${decision.rule + 1}`}`,
    '',
  ].join('\n');
}

/** Readings that every rule sees alike are told together. */
function judgements(explained: Explained): readonly string[] {
  const pathsByLines = new Map<string, string[]>();
  for (const reading of explained.readings) {
    const lines = [
      ...reading.rules.map((rule) => `  ${ruleLine(rule, explained, reading)}`),
      ...(reading.decision.rule === undefined ? ['  no rule matches: denied'] : []),
    ].join('\n');
    pathsByLines.set(lines, [...(pathsByLines.get(lines) ?? []), reading.path]);
  }
  return [...pathsByLines].flatMap(([lines, paths]) => ['', `as ${paths.join(' and ')}:`, lines]);
}

/** What the application refuses whatever its rules say. */
function refusals({ reason }: Decision, { application, request }: Explained): readonly string[] {
  if (reason === 'method-not-allowed') {
    return [`the application takes ${list(application.methods)}, not ${request.method}`];
  }
  return reason === 'encoded-slash' ? ['the application takes no encoded slash (encodedSlash: refuse)'] : [];
}

function fact(name: string, text: string): string {
  return `${`${name}${name === '' ? ' ' : ':'}`.padEnd(13)}${text}`;
}

function describePerson(principal: Principal | undefined): string {
  if (principal === undefined) return 'anonymous';
  const { username, provider, groups, roles, accessLevel } = principal;
  const names = groups.map(({ name, dn }) => dn ?? name);
  return `${username} of ${provider}; groups: ${list(names)}; roles: ${list(roles)}; access level: ${accessLevel}`;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

function ruleLine(
  { rule, result, failing }: RuleExplanation,
  { application, request, principal }: Explained,
  { decision }: ReadingExplanation,
): string {
  const options = application.rules[rule] as RuleOptions;
  const verdict = `rule ${rule + 1}  `;
  switch (result) {
    case 'not-reached':
      return `${verdict}not reached`;
    case 'methods':
      return `${verdict}does not match: methods are ${list(options.methods ?? [])}, not ${request.method}`;
    case 'paths':
      return `${verdict}does not match: paths are ${list(options.paths ?? [])}`;
    case 'networks':
      return `${verdict}does not match: networks are ${list(options.networks ?? [])}`;
    case 'decides':
      return `${verdict}matches: ${decision.kind}, ${because(options.access, principal, failing)}`;
  }
}

function because(
  access: RuleOptions['access'],
  principal: Principal | undefined,
  failing: RuleExplanation['failing'],
): string {
  if (access === 'public') return 'it is public';
  if (access === 'deny') return 'it denies everyone';
  if (principal === undefined) return 'the person is not signed in';
  if (access === 'authenticated') return 'the person is signed in';
  if (failing === undefined) return 'every condition is met';
  const wanted = access[failing];
  return `${failing} does not hold: it asks for ${typeof wanted === 'string' ? `at least ${wanted}` : list(wanted ?? [])}`;
}

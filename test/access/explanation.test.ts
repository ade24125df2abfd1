import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { explainReadings } from '#src/access/explanation.ts';
import { applicationOptions } from '#src/access/options.ts';
import { compileRules } from '#src/access/rules.ts';
import { parseTarget } from '#src/http/target.ts';
import { GroupTable } from '#src/identity/group.ts';
import { principalOf } from '#test/support/principals.ts';

const groups = new GroupTable();
const people = [
  undefined,
  principalOf({ username: 'alice', groups: [groups.intern('staff')] }),
  principalOf({ username: 'root', roles: ['editor'], accessLevel: 'administrator' }),
];

const rule = fc.record(
  {
    paths: fc.subarray(['/a', '/a/**', '/b', '/b/*', '/**'], { minLength: 1 }),
    methods: fc.subarray(['GET', 'POST'], { minLength: 1 }),
    networks: fc.subarray(['10.0.0.0/8', '192.0.2.1'], { minLength: 1 }),
    access: fc.constantFrom(
      'public',
      'authenticated',
      'deny',
      { groups: ['staff'] },
      { groups: ['staff'], roles: ['editor'] },
      { accessLevel: 'auditor' },
    ),
  },
  { requiredKeys: ['access'] },
);
const strictness = { allow: 0, challenge: 1, deny: 2 };

test('the strictest of the explained readings is what the rules decide, and the deciding rules agree', () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 5 }),
      fc.constantFrom('/', '/a', '/A/', '/a//b', '/a;x/b', '//b/c', '/b/c%2Fd'),
      fc.constantFrom('GET', 'HEAD', 'POST'),
      fc.constantFrom('10.1.2.3', '192.0.2.1', '2001:db8::1'),
      fc.constantFrom(...people),
      fc.boolean(),
      (rules, path, method, clientAddress, principal, caseInsensitivePaths) => {
        const { rules: options } = applicationOptions.parse({ name: 'a', hosts: ['a'], rules });
        const compiled = compileRules(options, caseInsensitivePaths);
        const target = parseTarget(path);
        assert.ok(target !== undefined);
        const request = { method, readings: target.readings, clientAddress };
        const explained = explainReadings(compiled, request, principal, caseInsensitivePaths);
        const decision = compiled.decide(request, principal && compiled.conditionsHeld(principal));
        const strictest = Math.max(...explained.map((reading) => strictness[reading.decision.kind]));
        assert.equal(strictness[decision.kind], strictest);
        for (const reading of explained) {
          const deciding = reading.rules.find(({ result }) => result === 'decides');
          assert.equal(deciding?.rule, reading.decision.rule);
          const isRefusedForConditions = reading.decision.reason === 'conditions-not-met';
          assert.equal(deciding?.failing !== undefined, isRefusedForConditions);
        }
      },
    ),
  );
});

test('names the criterion that each rule misses, and the condition that does not hold', () => {
  const { rules: options } = applicationOptions.parse({
    name: 'a',
    hosts: ['a'],
    rules: [
      { methods: ['POST'], access: 'public' },
      { paths: ['/b'], access: 'public' },
      { networks: ['10.0.0.0/8'], access: 'public' },
      { access: { groups: ['staff'], roles: ['editor'] } },
      { access: 'public' },
    ],
  });
  const request = { method: 'GET', readings: ['/a'], clientAddress: '192.0.2.1' };
  const [first] = explainReadings(compileRules(options, false), request, people[1], false);
  assert.deepEqual(
    first?.rules.map(({ result, failing }) => failing ?? result),
    ['methods', 'paths', 'networks', 'roles', 'not-reached'],
  );
});

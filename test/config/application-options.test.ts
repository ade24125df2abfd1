import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines, serverLine } from '#test/config/reading.ts';

const wiki = (rest: string): string =>
  `${serverLine}providers: []\napplications:\n  - { name: wiki, hosts: [wiki.example.com], ${rest} }\n`;

const refused: readonly (readonly [options: string, problem: string])[] = [
  ['decisionCache: 2m', 'decisionCache: expected a duration from 1s to 1m'],
  ['decisionCache: 10ms', 'decisionCache: expected a duration from 1s to 1m'],
  ['decisionCache: on', 'decisionCache: expected a duration such as 250ms, 15s, 5m or 12h'],
  ['credentials: []', 'credentials: must not be empty'],
  ['keepForms: true', 'keepForms: forms pass the gateway only where the application has an upstream'],
  [
    'upstream: whoami, keepForms: true, credentials: [basic]',
    'keepForms: people do not sign in here: credentials does not list session',
  ],
];
for (const [options, problem] of refused) {
  test(`refuses ${options}`, () => {
    const [line, ...more] = readLines(wiki(options)).problems;
    assert.ok(line?.endsWith(`applications[0].${problem}`), line);
    assert.deepEqual(more, []);
  });
}

test('refuses decisions that would outlive their sessions', () => {
  const yaml = `session: { idleTimeout: 30s }\n${wiki('decisionCache: 31s')}`;
  assert.match(readLines(yaml).problems.join(), /decisionCache: is longer than session\.idleTimeout/);
  assert.deepEqual(readLines(yaml.replace('31s', '30s')).problems, []);
});

for (const options of [
  'decisionCache: 5s',
  'decisionCache: off',
  'credentials: [session, basic]',
  'upstream: whoami, keepForms: true',
]) {
  test(`accepts ${options}`, () => {
    assert.deepEqual(readLines(wiki(options)).problems, []);
  });
}

test('warns about rules with networks behind a front proxy set up for oauth2-proxy', () => {
  const yaml = (compatibility: string): string =>
    wiki('rules: [ { networks: [10.0.0.0/8], access: public } ]').replace(
      'https://login.example.com"',
      `https://login.example.com", compatibility: [${compatibility}]`,
    );
  const warned = readLines(yaml('authelia, oauth2-proxy')).warnings.filter((line) =>
    line.includes('networks'),
  );
  assert.equal(warned.length, 1);
  assert.match(warned.join(), /server\.compatibility\[1\]: rules name networks/);
  assert.ok(!readLines(yaml('authelia')).warnings.join().includes('networks'));
});

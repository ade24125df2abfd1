/**
 * Installs what `npm start`, `npm test` and `npm run bench` need and is not there yet; says one line for each thing it
 * installs and nothing when all is there. Plain JavaScript that Node 12 can parse; uses no npm package.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDebianPackages, missingPrograms } from './setup/debian-packages.mjs';
import { installNodePackages, missingNodePackages } from './setup/node-packages.mjs';
import { SetupProblem } from './setup/setup-problem.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What each purpose needs besides the packages of the lockfile. */
const purposes = {
  start: { development: false, programs: [] },
  test: {
    development: true,
    programs: [
      'slapd',
      'ldap-utils',
      '389-ds-base',
      'samba-ad-dc',
      'samba-ad-provision',
      'samba-dsdb-modules',
      'ldb-tools',
      'nginx',
      'caddy',
      'haproxy',
      'apache2',
      'lua-socket',
      'chromium',
      'openssl',
      'strace',
    ],
  },
  bench: {
    development: true,
    programs: [
      'slapd',
      'ldap-utils',
      'nginx',
      'openssl',
      'wrk',
      'nghttp2-client',
      'gcc',
      'libldap-dev',
      'libc6-dev',
    ],
  },
};

const say = (line) => process.stdout.write(`setup: ${line}\n`);

/** @param {string | undefined} name one of the purposes */
function setUp(name) {
  const purpose = Object.prototype.hasOwnProperty.call(purposes, name) ? purposes[name] : undefined;
  if (purpose === undefined) throw new SetupProblem('usage: node deploy/setup.mjs start|test|bench');
  // Programs first: whoever lacks the right to install them learns it before minutes of downloading.
  const programs = missingPrograms(purpose.programs);
  if (programs.length > 0) installDebianPackages(programs, say);
  const packages = missingNodePackages(root, purpose);
  if (packages.length > 0) installNodePackages(root, purpose, packages, say);
}

try {
  setUp(process.argv[2]);
} catch (error) {
  if (!(error instanceof SetupProblem)) throw error;
  process.stderr.write(`setup: ${error.message}\n`);
  process.exitCode = 1;
}

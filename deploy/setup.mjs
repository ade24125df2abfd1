/**
 * Installs what `npm start`, `npm test` and `npm run bench` need and is not there yet; says one line for each thing it
 * installs and nothing when all is there. Plain JavaScript that Node 12 can parse; uses no npm package.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDebianPackages, missingPrograms } from './setup/debian-packages.mjs';
import { buildNativeModule, isNativeModuleMissing } from './setup/native-module.mjs';
import { installNodePackages, missingNodePackages } from './setup/node-packages.mjs';
import { SetupProblem } from './setup/setup-problem.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What the native module of the kerberos package is built with. */
const compiler = ['libkrb5-dev', 'python3', 'make', 'g++'];

/**
 * What each purpose needs besides the packages of the lockfile. `native`: whether the compiled part of the kerberos package must be
 * there; the gateway starts without it and only then misses it when a provider accepts tickets.
 */
const purposes = {
  start: { development: false, programs: [], native: false },
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
      'dnsmasq-base',
      'chromium',
      'curl',
      'nghttp2-client',
      'openssl',
      'strace',
      'krb5-kdc',
      'krb5-admin-server',
      'krb5-user',
      ...compiler,
    ],
    native: true,
  },
  bench: {
    development: true,
    programs: [
      'slapd',
      'ldap-utils',
      'samba-ad-dc',
      'samba-ad-provision',
      'samba-dsdb-modules',
      'ldb-tools',
      'nginx',
      'caddy',
      'openssl',
      'wrk',
      'nghttp2-client',
      'gcc',
      'libldap-dev',
      'libc6-dev',
      'apache2',
      'libapache2-mod-auth-gssapi',
      'krb5-kdc',
      'krb5-admin-server',
      'krb5-user',
      ...compiler,
    ],
    native: true,
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
  // Also where the packages were installed before the compiler was.
  if (purpose.native && isNativeModuleMissing(root)) buildNativeModule(root, say);
}

try {
  setUp(process.argv[2]);
} catch (error) {
  if (!(error instanceof SetupProblem)) throw error;
  process.stderr.write(`setup: ${error.message}\n`);
  process.exitCode = 1;
}

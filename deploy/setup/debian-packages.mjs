/**
 * Programs that come from Debian packages: which are missing, and how they are installed without starting a service.
 * A program that is there counts, wherever it came from.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, unlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SetupProblem } from './setup-problem.mjs';

/** Ordinary users have no sbin on their PATH, yet slapd and nginx live there. */
const systemDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/** By Debian package: the program, or the absolute path of a file, that proves it is there. */
const proofs = {
  slapd: 'slapd',
  'ldap-utils': 'ldapsearch',
  '389-ds-base': 'ns-slapd',
  'samba-ad-dc': 'samba',
  'samba-ad-provision': '/usr/share/samba/setup/provision.ldif',
  'samba-dsdb-modules': `/usr/lib/${triplet}/samba/ldb/samldb.so`,
  'ldb-tools': 'ldbadd',
  nginx: 'nginx',
  caddy: 'caddy',
  haproxy: 'haproxy',
  apache2: 'apache2',
  'lua-socket': '/usr/share/lua/5.3/socket/http.lua',
  chromium: 'chromium',
  'dnsmasq-base': 'dnsmasq',
  curl: 'curl',
  'libapache2-mod-auth-gssapi': '/usr/lib/apache2/modules/mod_auth_gssapi.so',
  openssl: 'openssl',
  strace: 'strace',
  'krb5-kdc': 'krb5kdc',
  'krb5-admin-server': 'kadmin.local',
  'krb5-user': 'kinit',
  'libkrb5-dev': '/usr/include/gssapi/gssapi.h',
  python3: 'python3',
  make: 'make',
  'g++': 'g++',
  wrk: 'wrk',
  'nghttp2-client': 'h2load',
  gcc: 'gcc',
  'libldap-dev': '/usr/include/ldap.h',
  'libc6-dev': '/usr/include/stdio.h',
};

/** By Debian package: the services it would also start at every boot of the machine. */
const services = {
  slapd: ['slapd'],
  'samba-ad-dc': ['samba-ad-dc', 'smbd', 'nmbd', 'winbind'],
  nginx: ['nginx'],
  caddy: ['caddy'],
  haproxy: ['haproxy'],
  apache2: ['apache2'],
  'krb5-kdc': ['krb5-kdc'],
  'krb5-admin-server': ['krb5-admin-server'],
};

/**
 * What the set-up looks at and touches outside the repository.
 * `policyFile`: invoke-rc.d asks it before it starts a service; exit code 101 means "not allowed".
 */
export const thisMachine = {
  directories: (process.env.PATH || '').split(delimiter).filter(Boolean).concat(systemDirectories),
  isRoot: process.getuid() === 0,
  policyFile: '/usr/sbin/policy-rc.d',
};

/**
 * @param {string[]} packages names of Debian packages
 * @returns {string[]} those whose program or header is not on the machine
 */
export function missingPrograms(packages, machine = thisMachine) {
  return packages.filter((name) => {
    const proof = proofs[name];
    return proof.startsWith('/') ? !existsSync(proof) : find(proof, machine) === undefined;
  });
}

function find(program, machine) {
  return machine.directories.map((directory) => join(directory, program)).find((file) => existsSync(file));
}

/**
 * Installs with apt. Throws SetupProblem, with the command to run, when this account or machine cannot.
 * @param {string[]} packages names of Debian packages
 * @param {(line: string) => void} say
 */
export function installDebianPackages(packages, say, machine = thisMachine) {
  const list = packages.join(' ');
  const aptGet = find('apt-get', machine);
  if (aptGet === undefined) {
    throw new SetupProblem(
      `missing on this machine: ${list} (Debian's names; there is no apt-get to install them).`,
    );
  }
  if (!machine.isRoot) {
    throw new SetupProblem(
      `${list} must be installed first: sudo apt-get install --no-install-recommends ${list}`,
    );
  }
  say(`installing Debian packages: ${list}`);
  withoutStartingServices(machine.policyFile, () => {
    run(aptGet, ['update', '-qq']);
    run(aptGet, ['install', '-y', '-qq', '--no-install-recommends'].concat(packages));
  });
  const updateRc = find('update-rc.d', machine);
  for (const name of packages) {
    for (const service of services[name] || []) {
      if (updateRc !== undefined) spawnSync(updateRc, [service, 'disable'], { stdio: 'ignore' });
    }
  }
  const still = missingPrograms(packages, machine);
  if (still.length > 0)
    throw new SetupProblem(`apt-get ended well, but these are still missing: ${still.join(' ')}`);
}

/** A refusing policy file stands while `install` runs; one that was there already is left as it is. */
function withoutStartingServices(policyFile, install) {
  const ours = !existsSync(policyFile);
  // With a handler an interrupt ends apt-get only, and the file is still removed here.
  const noop = () => undefined;
  process.on('SIGINT', noop);
  process.on('SIGTERM', noop);
  if (ours) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (ours) unlinkSync(policyFile);
    process.removeListener('SIGINT', noop);
    process.removeListener('SIGTERM', noop);
  }
}

function run(aptGet, args) {
  // Another apt may be running (unattended upgrades): wait for its lock instead of failing.
  const result = spawnSync(aptGet, ['-o', 'DPkg::Lock::Timeout=120'].concat(args), {
    env: Object.assign({}, process.env, { DEBIAN_FRONTEND: 'noninteractive' }),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout || ''}${result.stderr || ''}`);
  throw new SetupProblem(
    `"apt-get ${args.join(' ')}" failed (${result.status === null ? result.signal : result.status}).`,
  );
}

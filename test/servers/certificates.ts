/** A certificate authority in a temporary folder, made with openssl: certificates good, expired and for other hosts. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface CertificateRequest {
  /** Subject alternative names; addresses are told from DNS names. */
  readonly hosts: readonly string[];
  /** `YYYYMMDDHHMMSSZ`. Default: two days ago to ten years ahead. */
  readonly from?: string;
  readonly until?: string;
}

export interface Authority extends AsyncDisposable {
  readonly caFile: string;
  issue(request: CertificateRequest): Promise<Certificate>;
}

const caConfiguration = (folder: string) => `
[ca]
default_ca = test
[test]
database = ${folder}/index.txt
serial = ${folder}/serial
new_certs_dir = ${folder}/issued
certificate = ${folder}/ca.crt
private_key = ${folder}/ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
`;

/** ECDSA P-256 keys: making one takes about 10 ms. */
export async function createAuthority(name = 'Vratar test authority', days = 3_650): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-ca-'));
  await mkdir(join(folder, 'issued'));
  await writeFile(join(folder, 'index.txt'), '');
  await writeFile(join(folder, 'serial'), '01\n');
  await writeFile(join(folder, 'ca.cnf'), caConfiguration(folder));
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const caFile = join(folder, 'ca.crt');
  await run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-days',
    String(days),
    '-subj',
    `/CN=${name}`,
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-keyout',
    join(folder, 'ca.key'),
    '-out',
    caFile,
  ]);
  let issued = 0;
  // The authority's database is a file: one certificate at a time.
  let queue: Promise<unknown> = Promise.resolve();

  async function issueNow(request: CertificateRequest): Promise<Certificate> {
    const base = join(folder, `leaf-${++issued}`);
    const names = request.hosts.map((host) => `${/^[\d.]+$|:/.test(host) ? 'IP' : 'DNS'}:${host}`).join(',');
    await run('openssl', [
      'req',
      '-new',
      ...newKey,
      '-subj',
      `/CN=${request.hosts[0] ?? 'test'}`,
      '-addext',
      `subjectAltName=${names}`,
      '-keyout',
      `${base}.key`,
      '-out',
      `${base}.csr`,
    ]);
    const from = request.from ?? stamp(-2);
    const until = request.until ?? stamp(3_650);
    await run('openssl', [
      'ca',
      '-batch',
      '-notext',
      '-config',
      join(folder, 'ca.cnf'),
      '-startdate',
      from,
      '-enddate',
      until,
      '-in',
      `${base}.csr`,
      '-out',
      `${base}.crt`,
    ]);
    return { certificateFile: `${base}.crt`, keyFile: `${base}.key` };
  }

  return {
    caFile,
    issue(request) {
      const result = queue.then(async () => await issueNow(request));
      queue = result.catch(() => undefined);
      return result;
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function stamp(days: number): string {
  const date = new Date(Date.now() + days * 86_400_000);
  return `${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
}

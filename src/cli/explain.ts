/** `vratar explain`: which application and rule decide about a request, and why. Asks nobody, starts nothing. */
import { isIP } from 'node:net';
import { Applications } from '../access/applications.ts';
import { explainReadings } from '../access/explanation.ts';
import { ConfigInvalidError, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type OriginalRequest, originalRequest, splitUrl } from '../gateway/addresses/original-request.ts';
import { parsePublicUrl } from '../gateway/addresses/public-origin.ts';
import { ProtectedApplication } from '../gateway/application.ts';
import type { CommandIo } from './command-io.ts';
import { explanationText } from './explanation-text.ts';
import { supposedPerson } from './supposed-person.ts';
import { exitInvalid, exitUsage, readArguments } from './usage-mistake.ts';

/** The request would not pass. */
const exitRefused = 1;

const usage =
  'vratar explain --config FILE [--user NAME] [--provider P] [--groups a,b] [--roles a,b] [--access-level L] ' +
  '[--address IP] [--method GET] URL';

const options = {
  config: { type: 'string' },
  user: { type: 'string' },
  provider: { type: 'string' },
  groups: { type: 'string', multiple: true },
  roles: { type: 'string' },
  'access-level': { type: 'string' },
  address: { type: 'string' },
  method: { type: 'string' },
} as const;

/** 0: allowed; 1: denied, refused, or a sign-in comes first; 64 and 78: the question or the configuration is wrong. */
export async function explain(argv: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments('explain', { args: [...argv], options, allowPositionals: true }, io);
  if (parsed === undefined) return exitUsage;
  const { values, positionals } = parsed;
  const [url, ...more] = positionals;
  const wrong = (text: string): number => {
    io.stderr.write(`vratar explain: ${text}\n`);
    return exitUsage;
  };
  if (url === undefined || more.length > 0) return wrong(`expected one URL\nusage: ${usage}`);
  const { address = '127.0.0.1', method = 'GET' } = values;
  if (isIP(address) === 0) return wrong(`--address ${address} is no address`);

  const config = await Promise.resolve(load(values.config ?? io.env['VRATAR_CONFIG'], io));
  if (config === undefined) return exitInvalid;
  try {
    const principal = supposedPerson(
      {
        user: values.user,
        provider: values.provider,
        groups: values.groups,
        roles: values.roles?.split(','),
        accessLevel: values['access-level'],
      },
      config,
    );
    io.stdout.write(`${method} ${url}\n`);
    const question = routed(url, method, config);
    if (typeof question === 'string') {
      io.stdout.write(`\ndecision: refused before any rule: ${question}\n`);
      return exitRefused;
    }
    const { application, original } = question;
    const { readings, hasEncodedSlash } = original.target;
    const request = { method, readings, clientAddress: address, hasEncodedSlash };
    const decision = application.decide(request, application.view(principal));
    io.stdout.write(
      explanationText({
        application: application.options,
        request,
        target: original.target,
        principal,
        readings: explainReadings(
          application.rules,
          request,
          principal,
          application.options.caseInsensitivePaths,
        ),
        decision,
      }),
    );
    return decision.kind === 'allow' ? 0 : exitRefused;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return wrong(error.message);
  }
}

function load(file: string | undefined, io: CommandIo): Config | undefined {
  if (file === undefined || file === '') {
    io.stderr.write('vratar explain: no configuration; give --config FILE or set VRATAR_CONFIG\n');
    return undefined;
  }
  try {
    return loadConfig(file, { env: io.env }).config;
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    io.stdout.write(`${error.message}\n`);
    return undefined;
  }
}

interface Routed {
  readonly application: ProtectedApplication;
  readonly original: OriginalRequest;
}

/** A sentence when no application's rules come to judge the request. */
function routed(url: string, method: string, config: Config): Routed | string {
  const parts = splitUrl(/^[a-z]+:\/\/[^/?#]*$/i.test(url) ? `${url}/` : url);
  if (parts === undefined) throw new RangeError('expected a URL such as https://wiki.example.com/page');
  const original = originalRequest(method, parts.scheme, parts.authority, parts.target);
  if (original === undefined) {
    return 'the scheme, method or host is malformed, or two servers could read the path differently';
  }
  const { host, target } = original;
  const applications = new Applications(
    // What is asked is who may, not where it goes.
    config.applications.map((application) => new ProtectedApplication(application, undefined)),
  );
  const { portalPath, publicUrl } = config.server;
  const isKnown = applications.knowsHost(host) || host === parsePublicUrl(publicUrl).host;
  if (isKnown && `${target.canonical}/`.startsWith(`${portalPath}/`)) return "it is the gateway's own page";
  const application = applications.find(host, target.canonical);
  if (application === undefined) {
    return isKnown ? 'no application at this path' : `no application on host ${host}`;
  }
  if (target.readings.some((reading) => applications.find(host, reading) !== application)) {
    return 'the path belongs to two applications, depending on who reads it';
  }
  return { application, original };
}

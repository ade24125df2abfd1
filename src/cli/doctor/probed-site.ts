/** Works out what should hold on the probed site: which pages need a sign-in, which headers are the gateway's. */
import { Applications } from '../../access/applications.ts';
import type { Config } from '../../config/schema.ts';
import { originalRequest } from '../../gateway/addresses/original-request.ts';
import { ProtectedApplication } from '../../gateway/application.ts';
import { assertionHeader } from '../../headers/asserted.ts';
import { groupsOverflowHeader } from '../../headers/inject.ts';
import { presets } from '../../headers/presets.ts';

export interface SiteFacts {
  readonly page: string;
  readonly morePages: readonly string[];
  readonly publicPage: string | undefined;
  readonly portalPath: string;
  readonly identityHeaders: readonly string[];
  readonly cookieName: string;
}

export interface SiteHints {
  readonly through: URL;
  readonly publicPath: string | undefined;
  readonly paths: readonly string[];
}

/** Where front proxies often have a location of its own: static files, uploads, programming interfaces. */
const likelyLocations = [
  'vratar-doctor.css',
  'vratar-doctor.js',
  'vratar-doctor.png',
  'vratar-doctor.php',
  'static/vratar-doctor',
  'assets/vratar-doctor',
  'media/vratar-doctor',
  'uploads/vratar-doctor',
  'api/vratar-doctor',
  'admin/vratar-doctor',
  'ws',
];

/** Without a configuration: the defaults, and every page but `publicPath` needs a sign-in. */
export function assumedFacts({ through, publicPath, paths }: SiteHints): SiteFacts {
  return {
    page: through.pathname,
    morePages: [...paths, ...likelyLocations.map((path) => `/${path}`)],
    publicPage: publicPath,
    portalPath: '/_vratar',
    identityHeaders: [...Object.keys(presets.remote), groupsOverflowHeader, assertionHeader],
    cookieName: 'vratar',
  };
}

/** A sentence instead of the facts when the configuration knows no application there. */
export function configuredFacts(config: Config, hints: SiteHints): SiteFacts | string {
  const { through, publicPath, paths } = hints;
  const applications = new Applications(
    config.applications.map((application) => new ProtectedApplication(application, undefined)),
  );
  const host = through.hostname;
  const application = applications.find(host, through.pathname);
  if (application === undefined) return `the configuration has no application at ${through.href}`;
  const { options } = application;
  const below = options.pathPrefix.replace(/\/$/, '');
  const samples = [
    ...paths,
    ...options.rules
      .flatMap((rule) => rule.paths ?? [])
      .map((glob) => glob.replaceAll(/\*+/g, 'vratar-doctor')),
    ...likelyLocations.map((path) => `${below}/${path}`),
  ];
  const outcomeAt = (path: string): string | undefined => {
    const original = originalRequest('GET', 'https', host, path);
    if (original === undefined || applications.find(host, original.target.canonical) !== application)
      return undefined;
    const { readings, hasEncodedSlash } = original.target;
    // An address of the documentation networks: no rule for own networks should open a page here.
    const request = { method: 'GET', readings, clientAddress: '192.0.2.1', hasEncodedSlash };
    return application.decide(request, application.view(undefined)).kind;
  };
  if (outcomeAt(through.pathname) === 'allow')
    return `the rules open ${through.pathname} to everybody; name a page that needs a sign-in`;
  return {
    page: through.pathname,
    morePages: samples.filter((path) => outcomeAt(path) === 'challenge'),
    publicPage: publicPath ?? samples.find((path) => outcomeAt(path) === 'allow'),
    portalPath: config.server.portalPath,
    identityHeaders: [...new Set([...application.identityNames, groupsOverflowHeader, assertionHeader])],
    cookieName: config.session.cookie.name,
  };
}

/** One sample of every page and state that people can meet, for the tests that look at all of them. */
import { GroupTable } from '#src/identity/group.ts';
import { createAssets } from '#src/portal/assets.ts';
import type { ErrorModel } from '#src/portal/error-page.ts';
import type { GoneFormModel, KeptFormModel } from '#src/portal/kept-form-page.ts';
import type { Language } from '#src/portal/language.ts';
import { createPages, type PageReply, type Pages } from '#src/portal/pages.ts';
import type { PasswordModel } from '#src/portal/password-page.ts';
import type { PortalModel } from '#src/portal/portal-page.ts';
import type { SignInModel } from '#src/portal/sign-in-page.ts';

export const portalPath = '/_vratar';
export const assets = createAssets(portalPath);

export const samplePages: Pages = createPages({
  portalPath,
  assets,
  formTargets: ['https://*.example.com'],
  signInOrigin: 'https://login.example.com',
});

export const signInModel: SignInModel = {
  passwordProviders: [{ name: 'corp', title: 'Corporate account' }],
  returnTo: 'https://wiki.example.com/start?page=1&view=all',
  csrf: 'kD3sJq7Zt0mXw2',
};

const groups = new GroupTable();

export const portalModel: PortalModel = {
  principal: {
    username: 'amelie.horvat',
    displayName: 'Amélie Horvat',
    email: 'amelie.horvat@example.com',
    groups: ['staff', 'engineering', 'wiki-editors', 'on-call', 'Инженеры'].map((name) =>
      groups.intern(name),
    ),
    roles: ['editor', 'release-manager'],
    accessLevel: 'administrator',
  },
  providerTitle: 'Corporate account',
  applications: [
    { title: 'Wiki', host: 'wiki.example.com', url: 'https://wiki.example.com/' },
    { title: 'Mail', host: 'mail.example.com', url: 'https://mail.example.com/' },
    { title: 'Issue tracker', host: 'issues.example.com', url: 'https://issues.example.com/' },
    { title: 'Табель', host: 'time.example.com', url: 'https://time.example.com/' },
    { title: 'Grafana', host: 'metrics.example.com', url: 'https://metrics.example.com/' },
    {
      title: 'Registar nekretnina i zemljišnih knjiga',
      host: 'very-long-host-name.department.example.com',
      url: 'https://registry.example.com/',
    },
    { title: 'Files', host: 'files.example.com', url: 'https://files.example.com/' },
  ],
  csrf: 'kD3sJq7Zt0mXw2',
};

const requestId = '01JD8V3K9QW2';

function errorSample(model: Omit<ErrorModel, 'requestId'>): (language: Language) => PageReply {
  return (language) => samplePages.error({ requestId, ...model }, language);
}

function signInSample(model: Partial<SignInModel>): (language: Language) => PageReply {
  return (language) => samplePages.signIn({ ...signInModel, ...model }, language);
}

export const passwordModel: PasswordModel = {
  way: { kind: 'here' },
  cause: 'must-change',
  username: 'amelie.horvat',
  provider: 'corp',
  returnTo: signInModel.returnTo,
  csrf: signInModel.csrf,
};

function passwordSample(model: Partial<PasswordModel>): (language: Language) => PageReply {
  return (language) => samplePages.password({ ...passwordModel, ...model }, language);
}

export const keptFormModel: KeptFormModel = {
  application: 'Issue tracker',
  place: 'issues.example.com/projects/engineering-and-operations/issues/new',
  action: 'https://issues.example.com/projects/engineering-and-operations/issues/new?from=board',
  fields: [
    { name: 'title', value: 'The lift is "out of order"' },
    { name: 'text', value: 'first line\r\nsecond <line>' },
    { name: 'label', value: 'urgent' },
    { name: 'label', value: 'building' },
  ],
  name: 'Amélie Horvat',
};

export const goneFormModel: GoneFormModel = { backTo: '/projects/engineering-and-operations/issues/new' };

export const samples: Readonly<Record<string, (language: Language) => PageReply>> = {
  'sign-in': signInSample({}),
  'sign-in-rejected': signInSample({
    username: 'amelie.horvat',
    problem: { kind: 'rejected' },
    destination: { title: 'Wiki', host: 'wiki.example.com' },
  }),
  'sign-in-throttled': signInSample({
    username: 'amelie.horvat',
    problem: { kind: 'throttled', retryAfterSeconds: 300 },
  }),
  'sign-in-unavailable': signInSample({
    username: 'amelie.horvat',
    problem: { kind: 'unavailable', retryAfterSeconds: 5 },
  }),
  'sign-in-choices': signInSample({
    passwordProviders: [
      { name: 'corp', title: 'Corporate account' },
      { name: 'staff', title: 'Local account' },
    ],
    redirectProviders: [
      { title: 'Keycloak', url: '/_vratar/providers/keycloak/start?rd=%2F' },
      { title: 'Microsoft', url: '/_vratar/providers/entra/start?rd=%2F' },
    ],
    destination: { title: 'Issue tracker', host: 'issues.example.com' },
  }),
  'sign-in-nothing': signInSample({ passwordProviders: [] }),
  'sign-in-password-changed': signInSample({ username: 'amelie.horvat', passwordChanged: true }),
  'password-form': passwordSample({}),
  'password-expired-elsewhere': passwordSample({
    cause: 'expired',
    way: { kind: 'elsewhere', url: 'https://password.example.com/' },
  }),
  'password-refused': passwordSample({ cause: undefined, problem: { kind: 'refused', reason: 'rules' } }),
  portal: (language) => samplePages.portal(portalModel, language),
  'portal-empty': (language) =>
    samplePages.portal(
      {
        ...portalModel,
        applications: [],
        principal: {
          ...portalModel.principal,
          groups: [],
          roles: [],
          accessLevel: 'user',
          displayName: undefined,
        },
      },
      language,
    ),
  'sign-out': (language) => samplePages.signOut({ name: 'Amélie Horvat', csrf: 'kD3sJq7Zt0mXw2' }, language),
  'signed-out-pending': (language) => samplePages.signedOutPending(language),
  'kept-form': (language) => samplePages.keptForm(keptFormModel, language),
  'kept-form-gone': (language) => samplePages.goneForm(goneFormModel, language),
  'error-denied': errorSample({ status: 403, signedIn: { name: 'Amélie Horvat', csrf: 'kD3sJq7Zt0mXw2' } }),
  'error-form-expired': errorSample({ status: 403, isFormExpired: true }),
  'error-not-found': errorSample({ status: 404, location: '/_vratar/nowhere' }),
  'error-unavailable': errorSample({ status: 503, retryAfterSeconds: 5 }),
};

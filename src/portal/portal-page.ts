/** The portal: a tile per application the person may open, who they are, sign out. Decides nothing about access. */
import type { Principal } from '../identity/principal.ts';
import { type Html, html } from '../lib/html.ts';
import type { Language } from './language.ts';
import { initialOf, renderFrame, type Site } from './layout.ts';
import { messages } from './messages/by-language.ts';
import type { Messages } from './messages/dictionary.ts';

export interface PortalTile {
  readonly title: string;
  readonly host: string;
  /** Absolute http(s) address, or a path of this host; anything else is not linked to. */
  readonly url: string;
  /** The way to the application's own administration, beside the application. */
  readonly isAdministration?: boolean;
}

export interface PortalModel {
  readonly principal: Pick<
    Principal,
    'username' | 'displayName' | 'email' | 'groups' | 'roles' | 'accessLevel'
  >;
  readonly providerTitle: string;
  /** Only what the person may open, in the order to show. */
  readonly applications: readonly PortalTile[];
  readonly csrf: string;
}

// Ten thousand groups would make a page nobody reads; the count stays exact.
const maxListedGroups = 200;

export function renderPortal(site: Site, language: Language, model: PortalModel): string {
  const text = messages[language];
  const { applications } = model;
  const main = html`<div class="columns">
<section class="applications" aria-labelledby="applications">
<h1 id="applications">${text.portal.title}</h1>
${applications.length > 0 ? html`<ul class="tiles">${applications.map((each) => tile(text, each))}</ul>` : emptyState(text)}
</section>
${accountPanel(text, model)}
</div>`;
  return renderFrame(site, language, {
    title: text.portal.title,
    shape: 'hall',
    bar: signOutForm(site, model.csrf, text.signOut.submit),
    main,
    location: `${site.portalPath}/`,
  });
}

/** `isPrimary`: where signing out is what the page is for. */
export function signOutForm(site: Site, csrf: string, label: string, isPrimary = false): Html {
  return html`<form class="sign-out" method="post" action="${site.portalPath}/logout"><input type="hidden" name="csrf" value="${csrf}"><button class="button${isPrimary && ' button-primary'}" type="submit">${label}</button></form>`;
}

function tile(text: Messages, { title: name, host, url, isAdministration = false }: PortalTile): Html {
  const title = isAdministration ? text.portal.administration(name) : name;
  return html`<li><a class="tile" href="${url}"><span class="mark hue-${hueOf(title)}" aria-hidden="true">${initialOf(title)}</span><span class="tile-text"><span class="tile-title"><bdi>${title}</bdi></span> <span class="host"><bdi>${host}</bdi></span></span></a></li>`;
}

function emptyState(text: Messages): Html {
  return html`<div class="empty"><h2>${text.portal.noApplications}</h2><p>${text.portal.noApplicationsAdvice}</p></div>`;
}

function accountPanel(text: Messages, { principal, providerTitle }: PortalModel): Html {
  const { username, displayName = username, email, groups, roles, accessLevel } = principal;
  const second = email ?? (displayName === username ? undefined : username);
  return html`<aside class="account card" aria-label="${text.portal.account}">
<div class="person"><span class="mark mark-round hue-${hueOf(username)}" aria-hidden="true">${initialOf(displayName)}</span>
<p><strong class="person-name"><bdi>${displayName}</bdi></strong>${second !== undefined && html` <span class="person-detail"><bdi>${breakableAddress(second)}</bdi></span>`}</p></div>
${accessLevel !== 'user' && html`<p class="level">${text.portal.accessLevels[accessLevel]}</p>`}
<p class="person-detail">${text.portal.signedInThrough(providerTitle)}</p>
${
  roles.length > 0 &&
  html`<h2>${text.portal.roles}</h2><ul class="chips">${roles.map((role) => html`<li><bdi>${role}</bdi></li>`)}</ul>`
}
${groups.length > 0 && groupList(text, groups)}
</aside>`;
}

/** A long e-mail address breaks before its `@` rather than in the middle of a word. */
function breakableAddress(address: string): Html {
  const at = address.lastIndexOf('@');
  return at === -1 ? html`${address}` : html`${address.slice(0, at)}<wbr>${address.slice(at)}`;
}

function groupList(text: Messages, groups: Principal['groups']): Html {
  const listed = groups.slice(0, maxListedGroups).map(({ name }) => html`<li><bdi>${name}</bdi></li>`);
  const rest = groups.length - listed.length;
  return html`<details><summary>${text.portal.groups(groups.length)}</summary><ul class="chips">${listed}${rest > 0 && html`<li>+${rest}</li>`}</ul></details>`;
}

const hues = 8;

/** The same title has the same colour on every visit (FNV-1a, for an even spread over short words). */
function hueOf(title: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < title.length; i++) hash = Math.imul(hash ^ title.charCodeAt(i), 0x01000193);
  return (hash >>> 8) % hues;
}

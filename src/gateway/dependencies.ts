/** What handling a request needs, made once by the composition root. */

import type { RoleMapping } from '../access/roles.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Assets } from '../portal/assets.ts';
import type { Pages } from '../portal/pages.ts';
import type { SignInChain } from '../providers/chain.ts';
import type { PasswordChanges } from '../providers/password-changes.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { SessionLifecycle } from '../session/lifecycle.ts';
import type { KeptForms } from '../state/kept-forms.ts';
import type { Credentials } from './credentials.ts';
import type { Mailbox } from './mailbox/mailbox.ts';
import type { Negotiation } from './negotiate/negotiation.ts';
import type { Overload } from './overload.ts';
import type { Snapshot } from './snapshot.ts';
import type { WebSockets } from './web-sockets.ts';

export interface GatewayDependencies {
  readonly snapshot: Snapshot;
  readonly sessions: SessionLifecycle;
  readonly sessionCookie: SessionCookie;
  readonly credentials: Credentials;
  readonly chain: SignInChain;
  readonly passwordChanges: PasswordChanges;
  readonly grantRoles: RoleMapping;
  /** `undefined`: no provider takes tickets. */
  readonly negotiation: Negotiation | undefined;
  /** What each provider is called on pages, by its name. */
  readonly providerTitles: ReadonlyMap<string, string>;
  /** Password providers in configured order, as the sign-in page shows them. */
  readonly passwordProviders: readonly { readonly name: string; readonly title: string }[];
  /** RFC 7517: the public keys of assertions, as they are now. */
  readonly publicKeys: () => object;
  /** In configured order. */
  readonly mailboxes: readonly Mailbox[];
  readonly webSockets: WebSockets;
  readonly forms: KeptForms;
  readonly overload: Overload;
  readonly pages: Pages;
  readonly assets: Assets;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

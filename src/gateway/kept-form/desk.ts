/**
 * Keeps the form of a person whose session ended while they filled it in, and finds it again after the sign-in.
 * Only forms of the application's own pages: a foreign page must not be able to leave one that is then sent with a
 * fresh session.
 */
import { GatewayError } from '../../errors.ts';
import { mediaType, readBody } from '../../http/body.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { Target } from '../../http/target.ts';
import { addressKey } from '../../providers/throttle.ts';
import { createTicket } from '../../session/ticket.ts';
import type { RequestOrigin } from '../addresses/request-origin.ts';
import { maxReturnTargetLength } from '../addresses/return-to.ts';
import type { ProtectedApplication } from '../application.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import { KeptFormCookie } from './cookie.ts';
import { type FormField, replayableFields } from './fields.ts';
import { formId, openForm, sealForm } from './seal.ts';

/** Below the portal path. */
export const keptFormPath = '/form';

const maxBytes = 65_536;
/** For those 64 KiB. */
const bodyDeadlineMs = 30_000;

/** What a browser is told about its kept form, beside where to sign in. */
export interface FormReceipt {
  /** Where the form is after the sign-in. */
  readonly returnTo: string;
  readonly headers: readonly string[];
}

export interface FoundForm {
  readonly id: string;
  readonly application: string;
  /** Path and query. */
  readonly target: string;
  readonly fields: readonly FormField[];
}

export class KeptFormDesk {
  readonly #dependencies: GatewayDependencies;
  readonly cookie: KeptFormCookie;

  constructor(dependencies: GatewayDependencies) {
    const { sessionCookie, snapshot } = dependencies;
    this.#dependencies = dependencies;
    this.cookie = new KeptFormCookie(sessionCookie.name, snapshot.publicOrigin.scheme === 'https');
  }

  /** Whether the head of a navigation is that of a form that may be kept. */
  takes({ request, head }: Exchange, origin: RequestOrigin, { options }: ProtectedApplication): boolean {
    return (
      options.keepForms &&
      request.method === 'POST' &&
      head.contentLength !== undefined &&
      Number(head.contentLength) <= maxBytes &&
      mediaType(head.contentType) === 'application/x-www-form-urlencoded' &&
      request.headers['content-encoding'] === undefined &&
      isOfOwnPage(head, origin)
    );
  }

  /** `undefined`: it cannot be sent again as it is, or there is no room. Rejects when the body does not arrive whole. */
  async keep(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    { options }: ProtectedApplication,
  ): Promise<FormReceipt | undefined> {
    const bytes = await readBody(exchange.request, { maxBytes, deadlineMs: bodyDeadlineMs });
    const body = bytes.toString('latin1');
    const isKept =
      replayableFields(body) !== undefined &&
      (await this.#store(exchange, origin, {
        application: options.name,
        target: target.path + target.query,
        body,
      }));
    if (isKept === false) {
      this.#dependencies.metrics.keptForms.inc({ result: 'refused' });
      return undefined;
    }
    this.#dependencies.metrics.keptForms.inc({ result: 'kept' });
    this.#dependencies.logger.info('form.kept', {
      application: options.name,
      bytes: bytes.length,
      clientAddress: exchange.clientAddress,
    });
    return { returnTo: this.#pageOf(origin, target), headers: this.cookie.issue(isKept) };
  }

  /** The form of this browser on this origin; it stays. `undefined`: there is none, or no longer. */
  async find({ head }: Exchange, origin: RequestOrigin): Promise<FoundForm | undefined> {
    const ticket = this.cookie.read(head.cookie);
    if (ticket === undefined) return undefined;
    const { forms } = this.#dependencies;
    const own = urlOf(origin);
    const id = formId(ticket, own);
    const sealed = await forms.findForm(id);
    if (sealed === undefined) return undefined;
    const { application, target, body } = openForm(sealed, ticket, own, await forms.formSalt());
    return { id, application, target, fields: replayableFields(body) ?? [] };
  }

  /** `false`: somebody has it already. */
  async hand({ id }: FoundForm): Promise<boolean> {
    return await this.#dependencies.forms.dropForm(id);
  }

  /** The ticket; `false`: there is no room, or the primary is away, and people sign in without their form. */
  async #store(
    { head, clientAddress }: Exchange,
    origin: RequestOrigin,
    form: Parameters<typeof sealForm>[0],
  ): Promise<string | false> {
    const { forms, logger } = this.#dependencies;
    const own = urlOf(origin);
    const ticket = createTicket();
    const previous = this.cookie.read(head.cookie);
    try {
      const sealed = sealForm(form, ticket, own, await forms.formSalt());
      const replaces = previous === undefined ? undefined : formId(previous, own);
      const isKept = await forms.keepForm(
        { id: formId(ticket, own), sealed, replaces },
        addressKey(clientAddress),
      );
      return isKept && ticket;
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'SESSION_STORE_UNAVAILABLE') throw error;
      logger.warn('form.not-kept', { application: form.application, error });
      return false;
    }
  }

  /** The page that asks, with the way back for when the form is gone by then. */
  #pageOf(origin: RequestOrigin, { path, query }: Target): string {
    const page = `${urlOf(origin)}${this.#dependencies.snapshot.portalPath}${keptFormPath}`;
    const withWayBack = `${page}?rd=${encodeURIComponent(path + query)}`;
    return withWayBack.length > maxReturnTargetLength ? page : withWayBack;
  }
}

/**
 * The browser's own word, which pages cannot write: `Sec-Fetch-Site` where it is sent (secure contexts), and an
 * `Origin` that may be hidden by the page's policy but never foreign. Without either, nobody knows: not kept.
 */
function isOfOwnPage(head: Exchange['head'], origin: RequestOrigin): boolean {
  if (head.isDuplicate('origin')) return false;
  const named = head.origin?.toLowerCase();
  const isOwn = named === urlOf(origin);
  if (head.secFetchSite === undefined) return isOwn;
  return head.secFetchSite === 'same-origin' && (isOwn || named === undefined || named === 'null');
}

function urlOf({ scheme, authority }: RequestOrigin): string {
  return `${scheme}://${authority}`;
}

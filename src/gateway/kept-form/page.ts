/**
 * `GET /_vratar/form`: shows the person who has signed in again the form that was kept, once, with the button that sends
 * it from their browser to the application. The gateway itself sends nothing: whether it is sent is a person's decision.
 */
import { GatewayError } from '../../errors.ts';
import { redirect, reply } from '../../http/exchange.ts';
import { isNavigation } from '../../http/navigation.ts';
import { parseTarget } from '../../http/target.ts';
import type { Session } from '../../session/session.ts';
import { allowedReturnTarget } from '../addresses/return-to.ts';
import { signInLocation } from '../addresses/sign-in-location.ts';
import type { ProtectedApplication } from '../application.ts';
import { sessionOf } from '../credentials/session-of.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import type { Failures } from '../failures.ts';
import { languageOf } from '../language-of.ts';
import type { PortalRequest } from '../portal.ts';
import type { Traffic } from '../traffic.ts';
import { type FoundForm, type KeptFormDesk, keptFormPath } from './desk.ts';

/** A form, and the application that still takes it. */
interface Waiting {
  readonly form: FoundForm;
  readonly application: ProtectedApplication;
  readonly path: string;
  readonly readings: readonly string[];
  readonly hasEncodedSlash: boolean;
}

export class KeptFormPage {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #failures: Failures;
  readonly #desk: KeptFormDesk;

  constructor(dependencies: GatewayDependencies, traffic: Traffic, failures: Failures, desk: KeptFormDesk) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#failures = failures;
    this.#desk = desk;
  }

  /** Throws, or rejects with, what `error-reply.ts` answers. */
  async answer(request: PortalRequest): Promise<void> {
    const { exchange, origin } = request;
    const { sessions, sessionCookie, metrics } = this.#dependencies;
    // What only looks must not use up the one time the form is shown.
    if (!isNavigation(exchange.head) || exchange.request.method === 'HEAD')
      throw new GatewayError('NOT_FOUND', 'the page of a kept form is for people');
    const session = await sessionOf(exchange, sessionCookie, sessions);
    if (session === undefined) {
      this.#signIn(request);
      return;
    }
    const waiting = this.#waiting(await this.#desk.find(exchange, origin), origin.host);
    if (waiting !== undefined && !this.#maySend(session, waiting, exchange.clientAddress)) {
      this.#deny(request, session, waiting);
      return;
    }
    if (waiting === undefined || !(await this.#desk.hand(waiting.form))) {
      metrics.keptForms.inc({ result: 'gone' });
      this.#gone(request);
      return;
    }
    metrics.keptForms.inc({ result: 'offered' });
    this.#offer(request, session, waiting);
  }

  /** `undefined` also for a form whose application changed, or lost its path, since. */
  #waiting(form: FoundForm | undefined, host: string): Waiting | undefined {
    if (form === undefined) return undefined;
    const target = parseTarget(form.target);
    if (target === undefined) return undefined;
    const { applications } = this.#dependencies.snapshot;
    const application = applications.find(host, target.canonical);
    if (application?.options.name !== form.application || !application.options.keepForms) return undefined;
    const { path, readings, hasEncodedSlash } = target;
    return { form, application, path, readings, hasEncodedSlash };
  }

  /** Whoever could not send the form themselves does not get to see what another person wrote. */
  #maySend(
    { principal }: Session,
    { application, readings, hasEncodedSlash }: Waiting,
    clientAddress: string,
  ): boolean {
    const asked = { method: 'POST', readings, clientAddress, hasEncodedSlash };
    return application.decide(asked, application.view(principal)).kind === 'allow';
  }

  /** The form stays: the person may sign in with the right account. */
  #deny({ exchange }: PortalRequest, { principal }: Session, { application }: Waiting): void {
    this.#dependencies.logger.audit('access.denied', {
      application: application.options.name,
      account: principal.username,
      reason: 'kept-form',
      clientAddress: exchange.clientAddress,
    });
    const denied = new GatewayError('ACCESS_DENIED', 'the person may not send the form');
    this.#failures.answer(exchange, 'portal', denied, { principal });
  }

  #offer({ exchange, origin }: PortalRequest, { principal }: Session, waiting: Waiting): void {
    const { pages, logger } = this.#dependencies;
    const { form, application, path } = waiting;
    logger.audit('form.offered', {
      application: application.options.name,
      provider: principal.provider,
      account: principal.username,
      clientAddress: exchange.clientAddress,
    });
    const page = pages.keptForm(
      {
        application: application.title,
        place: `${origin.authority}${path}`,
        action: `${origin.scheme}://${origin.authority}${form.target}`,
        fields: form.fields,
        name: principal.displayName ?? principal.username,
      },
      languageOf(exchange),
    );
    reply(exchange, page.status, [...page.headers, ...this.#desk.cookie.clear()], page.body);
    this.#traffic.answered(exchange, 'portal', page.status);
  }

  #gone(request: PortalRequest): void {
    const { exchange } = request;
    const { pages, snapshot } = this.#dependencies;
    const backTo = this.#wayBack(request) ?? `${snapshot.portalPath}/`;
    const page = pages.goneForm({ backTo }, languageOf(exchange));
    reply(exchange, page.status, [...page.headers, ...this.#desk.cookie.clear()], page.body);
    this.#traffic.answered(exchange, 'portal', page.status);
  }

  #signIn(request: PortalRequest): void {
    const { exchange, origin } = request;
    const { snapshot } = this.#dependencies;
    const wayBack = this.#wayBack(request);
    const query = wayBack === undefined ? '' : `?rd=${encodeURIComponent(wayBack)}`;
    const own = `${origin.scheme}://${origin.authority}${snapshot.portalPath}${keptFormPath}${query}`;
    redirect(exchange, 302, signInLocation(origin, own, snapshot));
    this.#traffic.answered(exchange, 'portal', 302);
  }

  #wayBack({ query, origin }: PortalRequest): string | undefined {
    return allowedReturnTarget(query.get('rd') ?? undefined, this.#dependencies.snapshot, origin.authority);
  }
}

/** The way of every request: read once, gate, find out what it is for, decide, answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../errors.ts';
import { type Exchange, redirect } from '../http/exchange.ts';
import { ClientAddresses } from '../http/forwarded.ts';
import { headFault } from '../http/gate.ts';
import type { RequestHandler } from '../http/listener.ts';
import { HeadReader } from '../http/request-head.ts';
import { parseTarget } from '../http/target.ts';
import type { Upgrade } from '../http/upgrade.ts';
import { plainAddress } from '../lib/address-set.ts';
import { requestOrigin } from './addresses/request-origin.ts';
import { MovedPages } from './compatibility/moved-pages.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { compileEndpoints } from './endpoints.ts';
import { Failures } from './failures.ts';
import { ForwardAuth } from './forward-auth.ts';
import { KeptFormDesk } from './kept-form/desk.ts';
import { KeptFormPage } from './kept-form/page.ts';
import { MailboxDoor } from './mailbox/door.ts';
import { ticketHeadFault } from './negotiate/ticket-head.ts';
import { ownCookieNames } from './outgoing/own-cookies.ts';
import { Portal } from './portal.ts';
import { ReverseProxy } from './reverse-proxy.ts';
import { createCsrfGuard } from './sign-in/csrf.ts';
import { SignIn } from './sign-in/sign-in.ts';
import { type Surface, Traffic } from './traffic.ts';

/** Peers of a unix socket have no address: whoever may open the file is on this machine. */
const localPeer = '127.0.0.1';

export function createHandler(dependencies: GatewayDependencies): RequestHandler {
  const { snapshot, clock, metrics, negotiation, overload } = dependencies;
  const { portalPath, trustedProxies } = snapshot;
  const findEndpoint = compileEndpoints(portalPath, snapshot.compatibility);
  const movedPages = new MovedPages(snapshot, snapshot.compatibility);
  const traffic = new Traffic(metrics);
  const csrf = createCsrfGuard(dependencies);
  const failures = new Failures(dependencies, traffic, csrf);
  const forwardAuth = new ForwardAuth(dependencies, traffic);
  const signIn = new SignIn(dependencies, csrf);
  const door = new MailboxDoor(dependencies, traffic, failures);
  const desk = snapshot.applications.all.some(({ options }) => options.keepForms)
    ? new KeptFormDesk(dependencies)
    : undefined;
  const keptForm = desk && new KeptFormPage(dependencies, traffic, failures, desk);
  const portal = new Portal(dependencies, traffic, csrf, signIn, door, keptForm);
  const ownCookies = ownCookieNames(dependencies, csrf);
  const reverseProxy = new ReverseProxy(dependencies, traffic, failures, signIn, ownCookies, desk);

  const takesTickets = negotiation !== undefined;
  const heads = new HeadReader({ readsUserAgent: negotiation?.policy.readsUserAgent === true });
  const clients = new ClientAddresses(trustedProxies);

  function open(request: IncomingMessage, response: ServerResponse, upgrade: Upgrade | undefined): Exchange {
    const head = heads.read(request.rawHeaders);
    const peer = plainAddress(request.socket.remoteAddress ?? localPeer);
    const isPeerTrusted = trustedProxies.has(peer);
    const address = isPeerTrusted ? clients.of(peer, head) : peer;
    return {
      request,
      response,
      upgrade,
      head,
      peer,
      isPeerTrusted,
      clientAddress: address ?? peer,
      isWayDoubtful: address === undefined,
      startedAtMs: clock.now(),
      startedAt: performance.now(),
    };
  }

  /** Everything that is not a forward-auth subrequest: pages of the gateway, or an application behind it. */
  function answerVisitor(exchange: Exchange): Promise<void> | undefined {
    const origin = requestOrigin(exchange, snapshot);
    if (origin === undefined) throw new GatewayError('REQUEST_MALFORMED', 'the host is missing or malformed');
    const target = parseTarget(originForm(exchange));
    if (target === undefined)
      throw new GatewayError('REQUEST_MALFORMED', 'the target is ambiguous or malformed');
    if (!snapshot.knowsHost(origin.host)) {
      throw new GatewayError('HOST_UNKNOWN', 'no application on this host', {
        fields: { host: origin.host },
      });
    }
    const moved = movedPages.locationOf(exchange, origin, target);
    if (moved !== undefined) return answerMoved(exchange, moved);
    return isPortal(target.canonical)
      ? portal.answer(exchange, origin, target)
      : reverseProxy.answer(exchange, origin, target);
  }

  function answerMoved(exchange: Exchange, location: string): undefined {
    const { method } = exchange.request;
    const status = method === 'GET' || method === 'HEAD' ? 302 : 303;
    redirect(exchange, status, location);
    traffic.answered(exchange, 'portal', status);
  }

  function isPortal(path: string): boolean {
    return (
      path.startsWith(portalPath) &&
      (path.length === portalPath.length || path.charCodeAt(portalPath.length) === 0x2f)
    );
  }

  return (request, response, upgrade) => {
    const exchange = open(request, response, upgrade);
    const url = request.url as string;
    const endpoint = findEndpoint(url);
    const surface: Surface =
      endpoint !== undefined ? 'forward_auth' : url.startsWith(portalPath) ? 'portal' : 'proxy';
    overload.arrivals++;
    try {
      const fault =
        headFault(request, exchange.head, snapshot.maxFields) ??
        (takesTickets ? ticketHeadFault(request, exchange.head) : undefined);
      if (fault !== undefined) throw new GatewayError(fault, 'the request head is refused');
      if (overload.level !== 0 && overload.isShed(exchange, surface)) {
        overload.refuse(exchange, surface);
        traffic.answered(exchange, surface, 503);
        return;
      }
      if (exchange.isWayDoubtful) {
        const code = endpoint === undefined ? 'REQUEST_MALFORMED' : 'ORIGINAL_REQUEST_INVALID';
        throw new GatewayError(code, 'X-Forwarded-For and Forwarded name different clients');
      }
      const answering =
        endpoint === undefined ? answerVisitor(exchange) : forwardAuth.answer(exchange, endpoint);
      answering?.catch((error: unknown) => failures.answer(exchange, surface, error));
    } catch (error) {
      failures.answer(exchange, surface, error);
    }
  };
}

/** RFC 9112 section 3.2.2: the absolute form is accepted when it names the same host as the Host field. */
function originForm({ request, head }: Exchange): string {
  const url = request.url as string;
  if (url.startsWith('/')) return url;
  const match = /^https?:\/\/([^/?#]*)(\/.*)?$/i.exec(url);
  if (match === null || match[1]?.toLowerCase() !== head.host?.toLowerCase()) return '';
  return match[2] ?? '/';
}

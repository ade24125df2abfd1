/** Zimbra's SOAP interface as far as a mailbox is opened and its sessions are ended. Believes only documented answers. */
import { GatewayError } from '../errors.ts';
import type { Outgoing } from '../lib/outgoing.ts';
import { elementAt, parseXml, type XmlElement } from '../lib/xml-document.ts';
import { type Xml, xml } from '../lib/xml-template.ts';
import type { SignedValues } from './mint.ts';

/** `fault`: the server understood and said no; `code` such as `account.AUTH_FAILED`. */
export type SoapAnswer<Result> =
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'fault'; readonly code: string };

const path = '/service/soap/';
/** As Zimbra makes them: version, signature and data in hex, or a JSON Web Token. */
const tokenPattern = /^[A-Za-z0-9_.~-]{1,8192}$/;
const codePattern = /^[A-Za-z]+\.[A-Z0-9_]{1,64}$/;

/** Signs in with preauth data instead of a password; the result is an auth token, good for one injection link. */
export async function authenticate(
  outgoing: Outgoing,
  { account, by, timestamp, expires }: Omit<SignedValues, 'isAdmin'>,
  mac: string,
): Promise<SoapAnswer<string>> {
  const answer = await call(
    outgoing,
    envelope(
      undefined,
      xml`<AuthRequest xmlns="urn:zimbraAccount"><account by="${by}">${account}</account><preauth timestamp="${timestamp}" expires="${expires}">${mac}</preauth></AuthRequest>`,
    ),
    'AuthResponse',
  );
  if (answer.kind === 'fault') return answer;
  const token = elementAt(answer.result, 'authToken')?.text.trim() ?? '';
  if (!tokenPattern.test(token)) throw nonsense('an answer without a usable token');
  return { kind: 'done', result: token };
}

/** Ends the session of `token` itself, or all web sessions that its account has on that mail server. */
export async function endSessions(
  outgoing: Outgoing,
  token: string,
  which: 'own' | 'all',
): Promise<SoapAnswer<undefined>> {
  const request =
    which === 'all'
      ? xml`<EndSessionRequest xmlns="urn:zimbraAccount" all="1"/>`
      : xml`<EndSessionRequest xmlns="urn:zimbraAccount" logoff="1"/>`;
  const answer = await call(outgoing, envelope(token, request), 'EndSessionResponse');
  return answer.kind === 'fault' ? answer : { kind: 'done', result: undefined };
}

function envelope(token: string | undefined, request: Xml): string {
  const authToken = token === undefined ? undefined : xml`<authToken>${token}</authToken>`;
  return xml`<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header><context xmlns="urn:zimbra"><userAgent name="vratar" version="1"/><nosession/>${authToken}</context></soap:Header><soap:Body>${request}</soap:Body></soap:Envelope>`.toString();
}

/** Faults come with status 500 (SOAP 1.2 part 2 section 7.5.2.2). Anything but the expected element is nonsense. */
async function call(outgoing: Outgoing, body: string, expected: string): Promise<SoapAnswer<XmlElement>> {
  const answer = await outgoing.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/soap+xml; charset=utf-8' },
    body,
  });
  if (answer.status !== 200 && answer.status !== 500) throw nonsense(`status ${answer.status}`);
  const root = parseXml(answer.body.toString('utf8'));
  const content = root?.name === 'Envelope' ? elementAt(root, 'Body') : undefined;
  if (content === undefined) throw nonsense('no SOAP envelope');
  if (answer.status === 200) {
    const result = elementAt(content, expected);
    if (result === undefined) throw nonsense(`no ${expected}`);
    return { kind: 'done', result };
  }
  const code = elementAt(content, 'Fault', 'Detail', 'Error', 'Code')?.text.trim() ?? '';
  if (!codePattern.test(code)) throw nonsense('a fault without a code');
  return { kind: 'fault', code };
}

function nonsense(what: string): GatewayError {
  return new GatewayError('UPSTREAM_PROTOCOL', `the mail server's SOAP interface gave ${what}`);
}

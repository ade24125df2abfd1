/**
 * Looks into a token before native code does: whether it is base64, which mechanism it belongs to, and for which service its ticket was
 * issued. Reads the first 2 KB only. A filter and no authentication: what it reads is not yet proven by any key.
 */
import type { TicketRejection } from '../../identity/outcome.ts';
import { DerError, DerReader } from './der.ts';

export type Inspection =
  | {
      readonly kind: 'ticket';
      /** `HTTP/wiki.example.com`, as the client asked its KDC for. */
      readonly service: string;
      readonly realm: string;
    }
  | { readonly kind: 'rejected'; readonly reason: TicketRejection };

/** Beyond this nothing is looked at: the ticket's name stands in the first 200 bytes or so. */
const peekBytes = 2_048;
/** The library repeats names in errors that it never frees. */
const maxNameBytes = 255;
const maxComponents = 4;
const maxMechanisms = 16;

const oid = {
  spnego: '2b0601050502',
  krb5: '2a864886f712010202',
  // Windows lists the same mechanism a second time, with a bit lost.
  krb5Microsoft: '2a864882f712010202',
  ntlm: '2b06010401823702020a',
} as const;

const ntlmSignature = Buffer.from('NTLMSSP\0', 'latin1');
/** RFC 4121 section 4.1: an AP-REQ follows. */
const initialTokenId = Buffer.from([1, 0]);

/** Hot path: bench/kerberos.ts. */
export function inspectToken(token: string, maxLength: number): Inspection {
  if (token.length > maxLength) return rejected('token-too-long');
  const bytes = decode(token);
  if (bytes === undefined) return rejected('token-malformed');
  if (bytes.subarray(0, ntlmSignature.length).equals(ntlmSignature)) return rejected('ntlm');
  try {
    return inspect(bytes.subarray(0, peekBytes), bytes.length);
  } catch (error) {
    if (error instanceof DerError) return rejected('token-malformed');
    throw error;
  }
}

/**
 * `undefined`: not base64 of RFC 4648 section 4, padded. The decoder passes over what is not of its alphabet, and so
 * comes to fewer bytes; only that it knows the other alphabet too has to be looked for. Ten times faster than a pattern.
 */
function decode(token: string): Buffer | undefined {
  const { length } = token;
  if (length === 0 || length % 4 !== 0 || token.includes('-') || token.includes('_')) return undefined;
  const padding = token.endsWith('==') ? 2 : token.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(token, 'base64');
  return bytes.length === (length / 4) * 3 - padding ? bytes : undefined;
}

function inspect(bytes: Buffer, length: number): Inspection {
  const whole = new DerReader(bytes, { from: 0, to: length });
  // A second leg: the first one was never ours.
  if (whole.peekTag() === 0xa1) return rejected('continuation-needed');
  // RFC 2743 section 3.1: mechanism, then its own token.
  const framed = whole.into(0x60);
  if (!whole.isAtEnd) return rejected('token-malformed');
  const mechanism = framed.value(0x06, 32).toString('hex');
  if (mechanism === oid.krb5) return inspectTicket(framed);
  if (mechanism !== oid.spnego) {
    return rejected(mechanism === oid.ntlm ? 'ntlm' : 'mechanism-not-supported');
  }
  return inspectNegotiation(bytes, framed);
}

/** NegTokenInit of RFC 4178 section 4.2.1. */
function inspectNegotiation(bytes: Buffer, framed: DerReader): Inspection {
  const fields = framed.into(0xa0).into(0x30);
  const mechanisms = readMechanisms(fields.into(0xa0).into(0x30));
  const [preferred] = mechanisms;
  if (fields.peekTag() === 0xa1) fields.next(0xa1);
  const isKerberos = preferred === oid.krb5 || preferred === oid.krb5Microsoft;
  if (!isKerberos) {
    // The token is for the preferred mechanism; Kerberos would come with the next one, on the same connection.
    if (preferred === oid.ntlm) return rejected('ntlm');
    const offersKerberos = mechanisms.includes(oid.krb5) || mechanisms.includes(oid.krb5Microsoft);
    return rejected(offersKerberos ? 'continuation-needed' : 'mechanism-not-supported');
  }
  if (fields.peekTag() !== 0xa2) return rejected('continuation-needed');
  const { from, to } = fields.into(0xa2).next(0x04);
  if (bytes.subarray(from, from + ntlmSignature.length).equals(ntlmSignature)) return rejected('ntlm');
  const inner = new DerReader(bytes, { from, to }).into(0x60);
  if (inner.value(0x06, 32).toString('hex') !== oid.krb5) return rejected('mechanism-not-supported');
  return inspectTicket(inner);
}

function readMechanisms(list: DerReader): readonly string[] {
  const found: string[] = [];
  while (!list.isAtEnd) {
    if (found.length === maxMechanisms) throw new DerError('too many mechanisms');
    found.push(list.value(0x06, 32).toString('hex'));
  }
  return found;
}

/** AP-REQ of RFC 4120 section 5.5.1, as far as the names in its ticket. */
function inspectTicket(token: DerReader): Inspection {
  token.expectBytes(initialTokenId);
  const request = token.into(0x6e).into(0x30);
  expectInteger(request.into(0xa0), 5);
  expectInteger(request.into(0xa1), 14);
  request.next(0xa2);
  const ticket = request.into(0xa3).into(0x61).into(0x30);
  expectInteger(ticket.into(0xa0), 5);
  const realm = readName(ticket.into(0xa1));
  const name = ticket.into(0xa2).into(0x30);
  name.next(0xa0);
  const list = name.into(0xa1).into(0x30);
  const components: string[] = [];
  while (!list.isAtEnd) {
    if (components.length === maxComponents) throw new DerError('a name of too many parts');
    components.push(readName(list));
  }
  const service = components.join('/');
  if (realm === '' || service === '' || service.length > maxNameBytes) {
    throw new DerError('a ticket for nobody, or for a name too long');
  }
  return { kind: 'ticket', service, realm };
}

function expectInteger(reader: DerReader, expected: number): void {
  const bytes = reader.value(0x02, 4);
  if (bytes.length !== 1 || bytes[0] !== expected) throw new DerError('another version or kind of message');
}

/** KerberosString: GeneralString, in practice UTF-8. */
function readName(reader: DerReader): string {
  return reader.value(0x1b, maxNameBytes).toString('utf8');
}

function rejected(reason: TicketRejection): Inspection {
  return { kind: 'rejected', reason };
}

/**
 * The requests of LDAP that are sent here, as bytes (RFC 4511 section 4), and what a caller says to have one made.
 * Knows neither sockets nor answers.
 */
import type { Secret } from '../lib/secret.ts';
import { element, integer, octets, tags } from './ber.ts';
import type { EncodedFilter } from './filter.ts';
import type { EncodedPasswordChange } from './password-encoding.ts';

export interface SearchRequest {
  readonly baseDn: string;
  readonly scope: 'base' | 'one' | 'sub';
  readonly filter: EncodedFilter;
  readonly attributes: readonly string[];
  /** Entries; more of them cut the answer off there. 0: as many as there are. */
  readonly sizeLimit: number;
}

/** OIDs of extended operations: RFC 4511 section 4.14. */
const startTlsOid = '1.3.6.1.4.1.1466.20037';

const scopes = { base: 0, one: 1, sub: 2 } as const;
const version3 = integer(3);
/** derefAliases 0: never; an alias could lead out of the base. */
const neverDereference = integer(0, tags.enumerated);
const valuesWanted = Buffer.from([tags.boolean, 1, 0]);

/** Asks for the answer of draft-behera-ldap-password-policy section 6.1. Not critical: not every server knows it. */
const policyControls = element(0xa0, element(tags.sequence, octets('1.3.6.1.4.1.42.2.27.8.5.1')));

/** Lists of attributes are few and each is asked for again and again. */
const encodedAttributes = new WeakMap<readonly string[], Buffer>();

/** Hot path: bench/ldap.ts. */
export function encodeSearch(messageId: number, request: SearchRequest, timeLimitSeconds: number): Buffer {
  let attributes = encodedAttributes.get(request.attributes);
  if (attributes === undefined) {
    attributes = element(tags.sequence, ...request.attributes.map((name) => octets(name)));
    encodedAttributes.set(request.attributes, attributes);
  }
  return encodeMessage(
    messageId,
    element(
      0x63,
      octets(request.baseDn),
      integer(scopes[request.scope], tags.enumerated),
      neverDereference,
      integer(request.sizeLimit),
      integer(timeLimitSeconds),
      valuesWanted,
      element(request.filter.tag, request.filter.content),
      attributes,
    ),
  );
}

/** A simple bind. Hot path: bench/ldap.ts. */
export function encodeBind(messageId: number, dn: string, password: Secret): Buffer {
  const request = element(0x60, version3, octets(dn), octets(password.reveal(), 0x80));
  return encodeMessage(messageId, request, policyControls);
}

/** SASL EXTERNAL (RFC 4513 section 5.2.3) without a name: as whom the certificate of the handshake says. */
export function encodeExternalBind(messageId: number): Buffer {
  const credentials = element(0xa3, octets('EXTERNAL'), octets(''));
  return encodeMessage(messageId, element(0x60, version3, octets(''), credentials));
}

export function encodePasswordChange(messageId: number, change: EncodedPasswordChange): Buffer {
  if (change.kind === 'extended') {
    const request = element(0x77, octets(change.oid, 0x80), octets(change.value, 0x81));
    return encodeMessage(messageId, request, policyControls);
  }
  const { dn, attribute, oldValue, newValue } = change;
  const modification = (operation: number, value: Buffer): Buffer =>
    element(
      tags.sequence,
      integer(operation, tags.enumerated),
      element(tags.sequence, octets(attribute), element(tags.set, octets(value))),
    );
  // 1: delete, 0: add (RFC 4511 section 4.6).
  const changes = element(tags.sequence, modification(1, oldValue), modification(0, newValue));
  return encodeMessage(messageId, element(0x66, octets(dn), changes), policyControls);
}

export function encodeStartTls(messageId: number): Buffer {
  return encodeMessage(messageId, element(0x77, octets(startTlsOid, 0x80)));
}

export function encodeUnbind(messageId: number): Buffer {
  return encodeMessage(messageId, element(0x42));
}

function encodeMessage(messageId: number, ...parts: readonly Buffer[]): Buffer {
  return element(tags.sequence, integer(messageId), ...parts);
}

/**
 * The responses of LDAP as values (RFC 4511 section 4). What is not exactly such a response is a failure with kind
 * `protocol`: nothing is guessed, and no half of an answer counts. Knows neither sockets nor what was asked.
 */
import { BerReader, type KnownTexts, malformed, tags } from './ber.ts';
import type { LdapEntry } from './entry.ts';

/** [APPLICATION n] tags of responses. */
export const responseTags = {
  bind: 0x61,
  searchEntry: 0x64,
  searchDone: 0x65,
  modify: 0x67,
  searchReference: 0x73,
  extended: 0x78,
} as const;

/** The fields every result has (RFC 4511 section 4.1.9), and what controls say. */
export interface LdapResult {
  readonly resultCode: number;
  /** The server's own words. */
  readonly diagnostic: string;
  /** `error` of the password policy control (draft-behera-ldap-password-policy section 6.2). */
  readonly policyError: number | undefined;
  readonly graceSignInsLeft: number | undefined;
  /** `responseName` of an ExtendedResponse. */
  readonly name: string | undefined;
}

/** A message with its operation still unread. */
export interface OpenMessage {
  readonly messageId: number;
  /** Of the operation. */
  readonly tag: number;
  readonly reader: BerReader;
}

/** `responseName` of an ExtendedResponse, `controls` of a message. */
const extendedName = 0x8a;
const controlsTag = 0xa0;
const policyOid = '1.3.6.1.4.1.42.2.27.8.5.1';
/** Notice of Disconnection (RFC 4511 section 4.4.1). */
export const disconnectionOid = '1.3.6.1.4.1.1466.20036';

/** Opens the whole message in `bytes` from `start` to `end`. Hot path: bench/ldap.ts. */
export function openMessage(bytes: Buffer, start: number, end: number): OpenMessage {
  const reader = new BerReader(bytes, start, end);
  reader.enter(tags.sequence);
  const messageId = reader.integer();
  const tag = reader.peek();
  if (tag === undefined) throw malformed('a message holds no operation');
  return { messageId, tag, reader };
}

/** `names`: of attributes, which are the same in every entry. Hot path: bench/ldap.ts. */
export function readEntry(reader: BerReader, names: KnownTexts): LdapEntry {
  const message = reader.enter(responseTags.searchEntry);
  const entry: Record<string, LdapEntry[string]> & { dn: string } = { dn: reader.text() };
  const list = reader.enter(tags.sequence);
  while (!reader.isAtEnd) readAttribute(reader, entry, names);
  reader.leave(list);
  reader.skipRest();
  reader.leave(message);
  reader.skipRest();
  return entry;
}

function readAttribute(reader: BerReader, entry: Record<string, LdapEntry[string]>, names: KnownTexts): void {
  const attribute = reader.enter(tags.sequence);
  const name = reader.knownText(names);
  const value = readValues(reader, name);
  reader.skipRest();
  reader.leave(attribute);
  // No schema has attributes of these names, and they would not be attributes of `entry`.
  if (name === 'dn' || name === '__proto__') return;
  // An attribute comes once (RFC 4511 section 4.5.2): which of two counts must not depend on their order.
  if (Object.hasOwn(entry, name)) throw malformed('an entry has an attribute twice');
  entry[name] = value;
}

/** One value by itself; all of them as bytes when one of them is no text. */
function readValues(reader: BerReader, name: string): LdapEntry[string] {
  const set = reader.enter(tags.set);
  const values: (string | Buffer)[] = [];
  let isText = !name.includes(';') || !/;binary(?:;|$)/i.test(name);
  while (!reader.isAtEnd) {
    const value = reader.textOrBytes();
    if (typeof value !== 'string') isText = false;
    values.push(value);
  }
  reader.leave(set);
  const list = isText ? (values as string[]) : values.map(toBytes);
  return list.length === 1 ? (list[0] as string | Buffer) : list;
}

/** Text was decoded without loss. */
function toBytes(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

/** `tag`: the kind of response that is expected. Hot path: bench/ldap.ts. */
export function readResult(reader: BerReader, tag: number): LdapResult {
  const message = reader.enter(tag);
  const resultCode = reader.integer(tags.enumerated);
  // matchedDN: of no use here.
  reader.skip(tags.octets);
  const diagnostic = reader.diagnostic();
  let name: string | undefined;
  while (!reader.isAtEnd) {
    if (reader.peek() === extendedName && tag === responseTags.extended) name = reader.text(extendedName);
    else reader.skip();
  }
  reader.leave(message);
  const policy = reader.peek() === controlsTag ? readPolicy(reader) : undefined;
  reader.skipRest();
  return {
    resultCode,
    diagnostic,
    policyError: policy?.error,
    graceSignInsLeft: policy?.graceSignInsLeft,
    name,
  };
}

interface Policy {
  readonly error: number | undefined;
  readonly graceSignInsLeft: number | undefined;
}

/** Controls (RFC 4511 section 4.1.11), of which only the password policy's is known. */
function readPolicy(reader: BerReader): Policy | undefined {
  let policy: Policy | undefined;
  const controls = reader.enter(controlsTag);
  while (!reader.isAtEnd) {
    const control = reader.enter(tags.sequence);
    const oid = reader.text();
    if (reader.peek() === tags.boolean) reader.skip();
    if (oid === policyOid && reader.peek() === tags.octets) {
      if (policy !== undefined) throw malformed('the password policy answers twice');
      policy = readPolicyValue(reader);
    }
    reader.skipRest();
    reader.leave(control);
  }
  reader.leave(controls);
  return policy;
}

function readPolicyValue(reader: BerReader): Policy {
  let error: number | undefined;
  let graceSignInsLeft: number | undefined;
  const octets = reader.enter(tags.octets);
  const value = reader.enter(tags.sequence);
  // The warning and the error have elements of the same tag: the warning's is inside an element of its own.
  if (reader.peek() === 0xa0) {
    const warning = reader.enter(0xa0);
    if (reader.peek() === 0x81) graceSignInsLeft = reader.integer(0x81);
    reader.skipRest();
    reader.leave(warning);
  }
  if (reader.peek() === 0x81) error = reader.integer(0x81);
  reader.skipRest();
  reader.leave(value);
  reader.leave(octets);
  return { error, graceSignInsLeft };
}

/** Tokens put together from their parts, well-formed and not: what clients send, without any key. */

export const mechanisms = {
  krb5: '2a864886f712010202',
  krb5Microsoft: '2a864882f712010202',
  ntlm: '2b06010401823702020a',
  negoex: '2b06010401823702021e',
  iakerb: '2b0601050205',
} as const;
export type Mechanism = keyof typeof mechanisms;

const spnego = '2b0601050502';

/** One DER element. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : length < 0x10000
          ? [tag, 0x82, length >> 8, length & 0xff]
          : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

const integer = (value: number): Buffer => der(0x02, Buffer.from([value]));
const text = (value: string): Buffer => der(0x1b, Buffer.from(value));
const objectId = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));

export interface TicketParts {
  readonly service?: string;
  readonly realm?: string;
  /** Bytes of the encrypted part. */
  readonly cipher?: Uint8Array;
}

/** AP-REQ of RFC 4120 in the frame of RFC 4121. */
export function ticketToken(parts: TicketParts = {}): Buffer {
  const { service = 'HTTP/gw.localhost', realm = 'TEST.LOCAL', cipher = Buffer.alloc(300, 7) } = parts;
  const encrypted = der(0x30, der(0xa0, integer(18)), der(0xa1, integer(1)), der(0xa2, der(0x04, cipher)));
  const ticket = der(
    0x61,
    der(
      0x30,
      der(0xa0, integer(5)),
      der(0xa1, text(realm)),
      der(0xa2, der(0x30, der(0xa0, integer(3)), der(0xa1, der(0x30, ...service.split('/').map(text))))),
      der(0xa3, encrypted),
    ),
  );
  const request = der(
    0x6e,
    der(
      0x30,
      der(0xa0, integer(5)),
      der(0xa1, integer(14)),
      der(0xa2, der(0x03, Buffer.from([0, 0, 0, 0, 0]))),
      der(0xa3, ticket),
      der(0xa4, encrypted),
    ),
  );
  return der(0x60, objectId(mechanisms.krb5), Buffer.from([1, 0]), request);
}

/** NegTokenInit of RFC 4178: mechanisms in order of preference, and the token of the first one. */
export function negotiationToken(offered: readonly Mechanism[], mechToken?: Uint8Array): Buffer {
  return der(
    0x60,
    objectId(spnego),
    der(
      0xa0,
      der(
        0x30,
        der(0xa0, der(0x30, ...offered.map((name) => objectId(mechanisms[name])))),
        ...(mechToken === undefined ? [] : [der(0xa2, der(0x04, mechToken))]),
      ),
    ),
  );
}

/** The first message of NTLM. */
export const ntlmMessage: Buffer = Buffer.concat([
  Buffer.from('NTLMSSP\0', 'latin1'),
  Buffer.from('01000000078208a2000000000000000000000000000000000a00614a0000000f', 'hex'),
]);

export const base64 = (bytes: Buffer): string => bytes.toString('base64');

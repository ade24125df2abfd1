/** What holds for the inspection of any token; run shortly by the tests and at length by `npm run fuzz:kerberos`. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { inspectToken } from '#src/providers/kerberos/token.ts';
import { base64, negotiationToken, ntlmMessage, ticketToken } from './built-tokens.ts';

const maxLength = 90_000;

/** Never throws, and says one of two things, in which every text is bounded. */
function checkAnswer(token: string): void {
  const answer = inspectToken(token, maxLength);
  if (answer.kind === 'rejected') return assert.match(answer.reason, /^[a-z-]+$/);
  assert.ok(answer.service.length > 0 && answer.service.length <= 255, 'the length of the service');
  assert.ok(answer.realm.length > 0 && answer.realm.length <= 255, 'the length of the realm');
}

export function checkAnything(options: fc.Parameters<unknown>): void {
  const bytes = fc.uint8Array({ maxLength: 400 });
  const framed = bytes.map((content) => Buffer.concat([Buffer.from([0x60, content.length & 0x7f]), content]));
  fc.assert(
    fc.property(fc.oneof(bytes, framed), (content) => checkAnswer(base64(Buffer.from(content)))),
    options as fc.Parameters<[Uint8Array]>,
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 200, unit: 'binary' }), checkAnswer),
    options as fc.Parameters<[string]>,
  );
}

const bases: readonly Buffer[] = [
  ticketToken(),
  negotiationToken(['krb5'], ticketToken()),
  negotiationToken(['krb5Microsoft', 'krb5', 'negoex', 'ntlm'], ticketToken()),
  negotiationToken(['ntlm', 'krb5'], ntlmMessage),
  negotiationToken(['negoex', 'krb5'], Buffer.from('NEGOEXTS')),
  ntlmMessage,
];

/** One change of a token: where, what kind, which byte. Places near the beginning, where the structure is, come first. */
const change = fc.record({
  at: fc.oneof(fc.nat(160), fc.nat(1_200)),
  kind: fc.constantFrom('flip', 'set', 'cut', 'insert', 'splice'),
  byte: fc.nat(255),
});

export function checkMutations(options: fc.Parameters<unknown>): void {
  const changed = fc
    .tuple(
      fc.constantFrom(...bases),
      fc.constantFrom(...bases),
      fc.array(change, { minLength: 1, maxLength: 4 }),
    )
    .map(([base, other, changes]) =>
      changes.reduce<Buffer>((bytes, { at, kind, byte }) => mutate(bytes, other, at, kind, byte), base),
    );
  fc.assert(
    fc.property(changed, (bytes) => checkAnswer(base64(bytes))),
    options as fc.Parameters<[Buffer]>,
  );
}

export type ChangeKind = 'flip' | 'set' | 'cut' | 'insert' | 'splice';

export function mutate(bytes: Buffer, other: Buffer, at: number, kind: ChangeKind, byte: number): Buffer {
  if (bytes.length === 0) return bytes;
  const place = at % bytes.length;
  const copy = Buffer.from(bytes);
  switch (kind) {
    case 'flip':
      copy[place] = (copy[place] as number) ^ (1 << (byte & 7));
      return copy;
    case 'set':
      copy[place] = byte;
      return copy;
    case 'cut':
      return copy.subarray(0, place);
    case 'insert':
      return Buffer.concat([copy.subarray(0, place), Buffer.from([byte]), copy.subarray(place)]);
    case 'splice':
      return Buffer.concat([copy.subarray(0, place), other.subarray(place % Math.max(other.length, 1))]);
  }
}

/** Every message in chunks of bytes, read as connections read them: for tests of the readers. */
import { KnownTexts } from '#src/directory/ber.ts';
import { MessageFramer } from '#src/directory/framing.ts';
import { openMessage, readEntry, readResult, responseTags } from '#src/directory/responses.ts';

export interface DecodedResponse {
  readonly messageId: number;
  readonly tag: number;
  readonly value: unknown;
}

/** Throws LdapFailure with kind `protocol`. */
export function decodeResponses(...chunks: readonly Buffer[]): DecodedResponse[] {
  const decoded: DecodedResponse[] = [];
  const names = new KnownTexts();
  const framer = new MessageFramer(1_048_576, (bytes, start, end) => {
    const { messageId, tag, reader } = openMessage(bytes, start, end);
    const value = tag === responseTags.searchEntry ? readEntry(reader, names) : readResult(reader, tag);
    decoded.push({ messageId, tag, value });
  });
  for (const chunk of chunks) framer.push(chunk);
  return decoded;
}

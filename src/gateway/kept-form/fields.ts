/** Which forms can be sent once more, byte for byte, by a page that holds their fields as hidden inputs. */

export interface FormField {
  readonly name: string;
  readonly value: string;
}

/** Applications take no more either; a page of tens of thousands of inputs would only be slow. */
const maxFields = 1_000;

/** Browsers make CRLF of every line end they send (HTML, "constructing the entry list"). */
const lineEndOfItsOwn = /\r(?!\n)|(?<!\r)\n/;

/**
 * The fields of a urlencoded body, in order, repeated ones too. `undefined`: a browser would not send these bytes for
 * them, so the application would get another form than the one that was sent (text that is not UTF-8, escapes that no
 * form writes, fields that hidden inputs cannot hold).
 */
export function replayableFields(body: string): readonly FormField[] | undefined {
  const parameters = new URLSearchParams(body);
  // The same serialiser as in browsers (URL standard, "application/x-www-form-urlencoded serializing").
  if (parameters.size === 0 || parameters.size > maxFields || parameters.toString() !== body)
    return undefined;
  const fields = Array.from(parameters, ([name, value]): FormField => ({ name, value }));
  return fields.every(canBeHidden) ? fields : undefined;
}

function canBeHidden({ name, value }: FormField): boolean {
  // Fields without a name are not sent, and this one name is filled in by the browser.
  if (name === '' || (name.toLowerCase() === '_charset_' && value !== 'UTF-8')) return false;
  return [name, value].every((text) => !text.includes('\0') && !lineEndOfItsOwn.test(text));
}

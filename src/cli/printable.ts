/** Text of others for a terminal. */

// oxlint-disable-next-line no-control-regex -- C0, DEL and C1 are what is replaced
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/g;

/** What a directory holds must not steer the terminal it is shown on. */
export function printable(text: string): string {
  return text.replace(controlCharacters, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

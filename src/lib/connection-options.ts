/** What a Connection field names (RFC 9110 section 7.6.1), in lower case. */
export function connectionOptions(value: string): readonly string[] {
  return value
    .split(',')
    .map((option) => option.trim().toLowerCase())
    .filter((option) => option !== '');
}

/** Places inside the web client that a link may open: exactly those that are listed, spelled as they are listed. */

/** Parameters of the preauth address itself: Zimbra obeys them, or copies every other one to the page it opens. */
export const reservedParameters: ReadonlySet<string> = new Set([
  'account',
  'admin',
  'authtoken',
  'by',
  'expires',
  'isredirect',
  'preauth',
  'redirecturl',
  'timestamp',
]);

export type DeepLink = Readonly<Record<string, string>>;
export type FindDeepLink = (query: URLSearchParams) => string;

/** The gateway's own: what is asked for, and the language of its pages. */
const ownParameters: ReadonlySet<string> = new Set(['admin', 'lang']);

/**
 * The function answers `&app=mail&view=compose`, made from the list, or `''` for anything that is not on it: what a
 * stranger writes into a link never reaches the mail server.
 */
export function compileDeepLinks(links: readonly DeepLink[]): FindDeepLink {
  const known = new Map(
    links.map((link) => {
      const entries = Object.entries(link);
      return [keyOf(entries), `&${new URLSearchParams(entries).toString()}`] as const;
    }),
  );
  return (query) => known.get(keyOf([...query].filter(([name]) => !ownParameters.has(name)))) ?? '';
}

function keyOf(entries: readonly (readonly [string, string])[]): string {
  return JSON.stringify(entries.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b))));
}

/** Path globs of the rules, compiled once: `*` is one segment (or a part of one), `**` any number of segments. */

export type PathMatcher = (path: string) => boolean;

export interface GlobOptions {
  readonly caseInsensitive: boolean;
}

/**
 * Compiles a glob over canonical paths (see http/target.ts). Characters outside ASCII may be written as they are.
 * The matcher is linear in practice and never worse than pattern length times path length.
 */
export function compileGlob(glob: string, options: GlobOptions): PathMatcher {
  const escaped = escapeNonAscii(glob);
  const pattern = options.caseInsensitive ? escaped.toLowerCase() : escaped;
  if (pattern === '/**') return () => true;
  if (pattern.endsWith('/**')) {
    const below = pattern.slice(0, -2);
    if (!below.includes('*')) return (path) => path.startsWith(below);
    const segments = pattern.split('/').slice(1);
    return (path) => matchSegments(segments, path.split('/').slice(1));
  }
  // Any other glob names a resource, and `/x` and `/x/` are one resource to many servers.
  const bare = withoutTrailingSlash(pattern);
  if (!bare.includes('*')) {
    const slashed = `${bare}/`;
    return (path) => path === bare || path === slashed;
  }
  const segments = bare.split('/').slice(1);
  return (path) => matchSegments(segments, withoutTrailingSlash(path).split('/').slice(1));
}

/**
 * The paths for which it matters whether a slash stands behind them: `/x` for `/x/**`. `undefined`: any path might be
 * one, because a glob has wildcards before its last `**`.
 */
export function slashEdges(globs: readonly string[], options: GlobOptions): ReadonlySet<string> | undefined {
  const edges = new Set<string>();
  for (const glob of globs) {
    if (glob === '/**' || !glob.endsWith('/**')) continue;
    const edge = escapeNonAscii(glob.slice(0, -3));
    if (edge.includes('*')) return undefined;
    edges.add(options.caseInsensitive ? edge.toLowerCase() : edge);
  }
  return edges;
}

export function withoutTrailingSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

function escapeNonAscii(glob: string): string {
  return glob.replace(/[^\x21-\x7e]+/gu, (text) => encodeURIComponent(text));
}

/** Wildcard matching with one point to go back to, the latest `**`: earlier ones need never be tried again. */
function matchSegments(pattern: readonly string[], path: readonly string[]): boolean {
  let at = 0;
  let i = 0;
  let starAt = -1;
  let starPath = 0;
  while (i < path.length) {
    if (pattern[at] === '**') {
      starAt = at++;
      starPath = i;
    } else if (at < pattern.length && matchSegment(pattern[at] as string, path[i] as string)) {
      at++;
      i++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      i = ++starPath;
    } else {
      return false;
    }
  }
  // A `**` at the end that found nothing left: `/x/**` is what lies below `/x/`, not `/x`.
  return at === pattern.length;
}

/** One segment; a lone `*` stands for at least one character, so that `/x/*` does not match `/x/`. */
function matchSegment(pattern: string, segment: string): boolean {
  if (pattern === '*') return segment !== '';
  if (!pattern.includes('*')) return pattern === segment;
  let at = 0;
  let i = 0;
  let starAt = -1;
  let starSegment = 0;
  while (i < segment.length) {
    if (pattern[at] === '*') {
      starAt = at++;
      starSegment = i;
    } else if (pattern[at] === segment[i]) {
      at++;
      i++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      i = ++starSegment;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

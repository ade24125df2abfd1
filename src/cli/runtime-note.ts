/** Whether the Node.js that runs has the security fixes the gateway counts on. */

/** First releases with the fixes of October 2026 (decoder overflow, TLS host name bypasses), by major version. */
const patched: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  24: [22, 1],
  26: [12, 1],
};

/** One sentence for the operator, or `undefined` when there is nothing to say. `version` as in `process.versions.node`. */
export function runtimeNote(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const newest = Math.max(...Object.keys(patched).map(Number));
  if (major > newest) return undefined;
  const [fixedMinor, fixedPatch] = patched[major] ?? [Number.POSITIVE_INFINITY, 0];
  if (minor > fixedMinor || (minor === fixedMinor && patch >= fixedPatch)) return undefined;
  const releases = Object.entries(patched).map(([line, fixed]) => `${line}.${fixed.join('.')}`);
  return `Node.js ${version} lacks security fixes; in production run ${releases.join(' or ')} or later`;
}

/** Whether an address stays on this machine: the one judgement about what may travel in clear text. */
import { isIP } from 'node:net';

/** `host` as in a URL, so an IPv6 address may have its brackets. Names other than localhost are not resolved for this. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '');
  if (isIP(name) === 4) return name.startsWith('127.');
  // URLs write an embedded IPv4 address in hexadecimal.
  if (isIP(name) === 6) return /^(0*:)*0*1$/.test(name) || /^::ffff:(127\.|7f[0-9a-f]{2}:)/i.test(name);
  return name.toLowerCase() === 'localhost';
}

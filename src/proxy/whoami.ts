/**
 * The built-in echo application: shows a person, or a program, the request as an application behind the gateway
 * receives it. Stands alone: its style is in the page, allowed by hash, and it asks nothing of the gateway.
 */
import { createHash } from 'node:crypto';
import { type Html, html, raw } from '../lib/html.ts';
import { whoamiStyle } from './whoami-style.ts';

export interface EchoedRequest {
  readonly method: string;
  readonly target: string;
  /** Flat names and values, as the application would receive them: values are bytes in latin1 (Node's raw headers). */
  readonly headers: readonly string[];
  /** Names of the headers that carry the identity, in the order to show, in any case. */
  readonly identityHeaders: readonly string[];
}

export interface EchoReply {
  readonly status: number;
  /** Flat, without Content-Length. */
  readonly headers: string[];
  readonly body: string;
}

type Field = readonly [name: string, value: string];

/**
 * HTML, or JSON `{method, target, headers: [[name, value], …]}` when Accept prefers it. Both name cookies and the scheme of
 * Authorization but hide their values: an echo that a script can read must not undo HttpOnly.
 */
export function whoamiPage(request: EchoedRequest): EchoReply {
  const fields = shownFields(request.headers);
  const common = ['Cache-Control', 'no-store', 'Vary', 'Accept', 'X-Content-Type-Options', 'nosniff'];
  if (prefersJson(valueOf(fields, 'accept'))) {
    const { method, target } = request;
    return {
      status: 200,
      headers: ['Content-Type', 'application/json; charset=utf-8', ...common],
      body: `${JSON.stringify({ method, target, headers: fields })}\n`,
    };
  }
  return {
    status: 200,
    headers: ['Content-Type', 'text/html; charset=utf-8', 'Content-Security-Policy', policy, ...common],
    body: renderEcho(request, fields).toString(),
  };
}

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(whoamiStyle.toString()).digest('base64')}'`,
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

function shownFields(flat: readonly string[]): readonly Field[] {
  const fields: Field[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i] as string;
    fields.push([name, hideSecret(name.toLowerCase(), decodeBytes(flat[i + 1] as string))]);
  }
  return fields;
}

const hidden = '[hidden]';

function hideSecret(foldedName: string, value: string): string {
  if (foldedName === 'cookie') {
    return value
      .split(';')
      .map((pair) => (pair.includes('=') ? `${pair.slice(0, pair.indexOf('=')).trim()}=${hidden}` : hidden))
      .join('; ');
  }
  if (foldedName !== 'authorization' && foldedName !== 'proxy-authorization') return value;
  const scheme = /^([A-Za-z0-9-]+) /.exec(value)?.[1];
  return scheme === undefined ? hidden : `${scheme} ${hidden}`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 where the bytes are UTF-8, otherwise latin1 as it came (RFC 9110 section 5.5 leaves the charset open). */
function decodeBytes(value: string): string {
  try {
    return utf8.decode(Buffer.from(value, 'latin1'));
  } catch (error) {
    if (error instanceof TypeError) return value;
    throw error;
  }
}

function valueOf(fields: readonly Field[], foldedName: string): string | undefined {
  return fields.find(([name]) => name.toLowerCase() === foldedName)?.[1];
}

/** Only a wish for JSON above the one for HTML counts, so browsers and bare `*` get the page. */
function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.length > 1_024) return false;
  let json = 0;
  let page = 0;
  for (const item of accept.split(',', 32)) {
    const [type = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const quality = weight === undefined ? 1 : Number(weight);
    if (Number.isNaN(quality)) continue;
    if (type === 'application/json') json = Math.max(json, quality);
    else if (type === 'text/html') page = Math.max(page, quality);
  }
  return json > page;
}

function renderEcho(request: EchoedRequest, fields: readonly Field[]): Html {
  const identityNames = new Set(request.identityHeaders.map((name) => name.toLowerCase()));
  const others = fields.filter(([name]) => !identityNames.has(name.toLowerCase()));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>What the application received</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${raw`<style>`}${whoamiStyle}${raw`</style>`}
</head>
<body>
<main>
<header>
<h1>This is what the application received</h1>
<p><code class="request"><b>${request.method}</b> ${request.target}</code></p>
</header>
<section>
<h2 id="identity">Identity</h2>
<p>Set by the gateway. Whatever the browser sent under these names was removed first.</p>
${table(
  'identity',
  request.identityHeaders.flatMap((name) => identityRows(name, fields)),
)}
</section>
<section>
<h2 id="others">Other headers</h2>
<p>Values of cookies and credentials are hidden on this page, not from the application.</p>
${table(
  'others',
  others.map(([name, value]) => row(name, html`<bdi>${value}</bdi>`)),
)}
</section>
</main>
</body>
</html>
`;
}

/** A header the gateway did not send has its row too: "nobody" and "no such header" are different findings. */
function identityRows(name: string, fields: readonly Field[]): readonly Html[] {
  const sent = fields.filter(([other]) => other.toLowerCase() === name.toLowerCase());
  if (sent.length === 0) return [row(name, html`<span class="absent">not sent</span>`)];
  return sent.map(([, value]) =>
    row(name, value === '' ? html`<span class="absent">empty</span>` : html`<bdi>${value}</bdi>`),
  );
}

function row(name: string, value: Html): Html {
  return html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`;
}

function table(labelId: string, rows: readonly Html[]): Html {
  return rows.length === 0
    ? html`<p class="absent">None.</p>`
    : html`<table aria-labelledby="${labelId}"><tbody>${rows}</tbody></table>`;
}

/**
 * The lines of the shipped snippets (deploy/PROXY/) that mend what a probe found, for each front proxy. A test compares
 * them with the files; a probe without lines for a proxy gets the advice alone.
 */
import type { ProbeName } from './finding.ts';

export const frontProxies = ['nginx', 'caddy', 'haproxy', 'apache', 'traefik', 'envoy'] as const;
export type FrontProxyName = (typeof frontProxies)[number];

export interface Mending {
  /** What has to be true, for every proxy. */
  readonly advice: string;
  readonly lines: Partial<Record<FrontProxyName, readonly string[]>>;
}

export const mendings: Readonly<Record<ProbeName, Mending>> = {
  'sign-in-page': {
    advice: 'hand the portal path to the gateway on every host, without asking first',
    lines: {
      nginx: ['location ^~ /_vratar/ {', 'auth_request off;', 'proxy_pass http://vratar;'],
      caddy: ['handle /_vratar/* {', 'reverse_proxy {args.0} {'],
      haproxy: ['acl vratar_portal path -m beg /_vratar/', 'use_backend vratar if vratar_portal'],
      apache: [
        'ProxyPass /_vratar/ http://127.0.0.1:8080/_vratar/ nocanon timeout=30 connectiontimeout=2 retry=0',
      ],
      traefik: ['rule: PathPrefix(`/_vratar/`)'],
      envoy: ['- match: { prefix: /_vratar/ }'],
    },
  },
  'cookie-relay': {
    advice:
      'let every Set-Cookie of the gateway pass, each as a line of its own, and add the one that comes with a verdict; remove whatever hides or joins them (proxy_hide_header, proxy_cookie_*)',
    lines: {
      nginx: [
        'auth_request_set $vratar_set_cookie $upstream_http_set_cookie;',
        'add_header Set-Cookie $vratar_set_cookie always;',
      ],
      caddy: [
        'copy_headers Set-Cookie>Vratar-Set-Cookie',
        'header @vratar_renewed +Set-Cookie {http.request.header.Vratar-Set-Cookie}',
      ],
      haproxy: [
        'http-response add-header Set-Cookie %[var(txn.vratar_set_cookie)] if { var(txn.vratar_set_cookie) -m found } !{ var(txn.vratar_set_cookie) -m len 0 }',
      ],
      apache: ["if fields['set-cookie'] then r.err_headers_out['Set-Cookie'] = fields['set-cookie'] end"],
      traefik: ['addAuthCookiesToResponse:'],
      envoy: ['allowed_client_headers_on_success:', '- { exact: set-cookie, ignore_case: true }'],
    },
  },
  script: {
    advice: 'ask the gateway before the application, and hand its 401 to scripts as it is',
    lines: {
      nginx: ['auth_request /_vratar/auth/nginx;', 'error_page 401 = $vratar_on_challenge;'],
      caddy: ['forward_auth {args.0} {', 'uri /_vratar/auth/caddy?'],
      haproxy: ['http-request lua.vratar unless vratar_portal'],
      apache: ['LuaHookAccessChecker /etc/apache2/vratar.lua ask early'],
      traefik: ['middlewares: [vratar-clean, vratar, vratar-no-credentials]'],
      envoy: ['- { exact: accept, ignore_case: true }', '- { exact: sec-fetch-mode, ignore_case: true }'],
    },
  },
  navigation: {
    advice:
      'use the endpoint of your front proxy; nginx takes no redirect inside a question and makes one of the 401',
    lines: {
      nginx: [
        'auth_request /_vratar/auth/nginx;',
        'auth_request_set $vratar_sign_in_url $upstream_http_location;',
        'error_page 401 = $vratar_on_challenge;',
      ],
      caddy: ['uri /_vratar/auth/caddy?'],
      haproxy: ["local question = 'http://' .. gateway .. '/_vratar/auth/haproxy'"],
      traefik: ['address: http://127.0.0.1:8080/_vratar/auth/traefik'],
      envoy: ['path_prefix: /_vratar/auth/envoy'],
    },
  },
  'original-address': {
    advice: 'tell the gateway the address exactly as the client sent it, not a decoded or cleaned form of it',
    lines: {
      nginx: [
        'proxy_set_header X-Original-URL $scheme://$host$vratar_port$request_uri;',
        'proxy_set_header X-Original-Method $request_method;',
      ],
      haproxy: ["headers['x-forwarded-uri'] = { txn.f:pathq() }"],
      apache: ["headers['x-forwarded-uri'] = r.unparsed_uri:gsub('^%a+://[^/?]*', '')"],
      envoy: [
        'normalize_path: false',
        'merge_slashes: false',
        'path_with_escaped_slashes_action: KEEP_UNCHANGED',
      ],
    },
  },
  endpoint: {
    advice: 'close the forward-auth endpoint to clients: it is for the front proxy alone',
    lines: {
      nginx: ['location ^~ /_vratar/auth/ {', 'location = /_vratar/auth/nginx {', 'internal;'],
      caddy: ['@vratar_endpoint path /_vratar/auth /_vratar/auth/*', 'respond @vratar_endpoint 404'],
      haproxy: ['http-request return status 404 if { path,url_dec -m reg -i ^/+_vratar/+auth(/|$) }'],
      apache: ["if (path .. '/'):match('^/+_vratar/+auth/') then return 404 end"],
      traefik: ['rule: PathPrefix(`/_vratar/auth`)', 'middlewares: [vratar-nobody]'],
      envoy: ['- match: { safe_regex: { regex: "(?i)/+_vratar/+auth(/.*)?" } }'],
    },
  },
  locations: {
    advice: 'ask in every place that serves the application, also for static files and for every method',
    lines: {
      nginx: ['location / { include snippets/vratar-protect.conf; proxy_pass http://127.0.0.1:3000; }'],
      caddy: ['import vratar 127.0.0.1:8080'],
      haproxy: ['http-request lua.vratar unless vratar_portal'],
      apache: ['LuaHookAccessChecker /etc/apache2/vratar.lua ask early'],
      traefik: ['middlewares: [vratar-clean, vratar, vratar-no-credentials]'],
    },
  },
  identity: {
    advice: 'hand every identity header of the verdict to the application',
    lines: {
      nginx: [
        'auth_request_set $vratar_user $upstream_http_remote_user;',
        'proxy_set_header Remote-User $vratar_user;',
      ],
      caddy: [
        'copy_headers Remote-User Remote-Groups Remote-Name Remote-Email Remote-Roles Remote-Groups-Overflow',
      ],
      traefik: ['authResponseHeaders:', '- Remote-User'],
      envoy: ['allowed_upstream_headers:', '- { exact: remote-user, ignore_case: true }'],
    },
  },
  'forged-identity': {
    advice:
      'set or remove every identity header in the very place that passes the request on, also for anonymous ones',
    lines: {
      nginx: [
        'proxy_set_header Remote-User $vratar_user;',
        'proxy_set_header Remote-Groups $vratar_groups;',
        'proxy_set_header Remote-Name $vratar_name;',
        'proxy_set_header Remote-Email $vratar_email;',
        'proxy_set_header Remote-Roles $vratar_roles;',
        'proxy_set_header Remote-Groups-Overflow $vratar_groups_overflow;',
        'proxy_set_header X-Vratar-Assertion $vratar_assertion;',
      ],
      caddy: ['request_header -Remote*', 'request_header -*Vratar*'],
      haproxy: ['http-request del-header remote- -m beg', 'http-request del-header x-vratar- -m beg'],
      apache: [
        'RequestHeader unset Remote-User early',
        'RequestHeader unset Remote-Groups early',
        'RequestHeader unset Remote-Name early',
        'RequestHeader unset Remote-Email early',
        'RequestHeader unset Remote-Roles early',
        'RequestHeader unset Remote-Groups-Overflow early',
        'RequestHeader unset X-Vratar-Assertion early',
      ],
      traefik: ['authResponseHeaders:', '- Remote-User', '- Remote-Groups', '- Remote-Roles'],
      envoy: ['- remove: remote-user', '- remove: remote-groups', '- remove: remote-roles'],
    },
  },
  twins: {
    advice: 'drop header names with anything but letters, digits and "-"',
    lines: {
      nginx: ['underscores_in_headers off;', 'ignore_invalid_headers on;'],
      caddy: ['request_header -*_*', 'request_header -*.*', 'request_header -Remote*'],
      haproxy: ['http-request del-header [^a-z0-9-] -m reg'],
      apache: ["if name:find('[^%w-]') then odd[#odd + 1] = name end"],
      traefik: ['aliasHeadersStrategy: delete'],
      envoy: ['headers_with_underscores_action: DROP_HEADER', '- remove: remote.user'],
    },
  },
  'forwarded-for': {
    advice:
      'set the address of the client, in the question and for the application, and never append to what it sent',
    lines: {
      nginx: ['proxy_set_header X-Forwarded-For $remote_addr;', 'proxy_set_header Forwarded "";'],
      caddy: ['request_header -Forwarded'],
      haproxy: ['http-request set-header X-Forwarded-For %[src]', 'http-request del-header forwarded'],
      apache: ['RequestHeader unset X-Forwarded-For early', 'RequestHeader unset Forwarded early'],
      traefik: ['insecure: false', 'Forwarded: ""'],
      envoy: ['use_remote_address: true', '- remove: x-forwarded-for', '- remove: forwarded'],
    },
  },
  'forged-address': {
    advice: 'remove or replace what describes the request, in the question and for the application',
    lines: {
      nginx: [
        'proxy_set_header X-Original-URL $scheme://$host$vratar_port$request_uri;',
        'proxy_set_header X-Forwarded-Host $host$vratar_port;',
        'proxy_set_header X-Original-URI "";',
        'proxy_set_header X-Forwarded-Uri "";',
        'proxy_set_header X-Original-URL "";',
        'proxy_set_header X-Rewrite-URL "";',
      ],
      caddy: [
        'request_header -X-Original-*',
        'request_header -X-Forwarded-Uri',
        'request_header -X-Rewrite-Url',
      ],
      haproxy: [
        'http-request del-header x-forwarded- -m beg',
        'http-request del-header x-original- -m beg',
        'http-request set-header X-Forwarded-Host %[req.hdr(host)]',
      ],
      apache: [
        'RequestHeader unset X-Forwarded-Host early',
        'RequestHeader unset X-Forwarded-Uri early',
        'RequestHeader unset X-Original-URL early',
        'RequestHeader unset X-Original-URI early',
      ],
      traefik: ['X-Original-URL: ""', 'X-Original-URI: ""', 'X-Forwarded-Uri: ""'],
      envoy: ['- remove: x-original-url', '- remove: x-original-uri', '- remove: x-forwarded-uri'],
    },
  },
  ticket: {
    advice: 'take the cookies of the gateway out of what the application receives',
    lines: {
      nginx: ['proxy_set_header Cookie $vratar_application_cookie;'],
      caddy: [
        'request_header Cookie "(^|;\\s*)(?:(?:__Host-|__Secure-)?vratar(?:-[a-z]+)?=[^;]*(?:;\\s*|$))+" "$1"',
      ],
      haproxy: ["hide_cookies(txn, list(client['cookie']))"],
      apache: ["hide_cookies(r, r.headers_in['Cookie'])"],
    },
  },
  body: {
    advice: 'ask without the body and without its Content-Length',
    lines: {
      nginx: ['proxy_pass_request_body off;', 'proxy_set_header Content-Length "";'],
      traefik: ['forwardBody: false'],
    },
  },
  direct: {
    advice:
      'let the application listen on loopback or a unix socket, or let its firewall take connections of the front proxy only',
    lines: {},
  },
};

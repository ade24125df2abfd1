/** What `vratar doctor` says about an nginx whose configuration does not protect: one planted mistake at a time. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ProbeName } from '#src/cli/doctor/finding.ts';
import { startSite } from '#test/gateway/site.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import type { NginxOptions } from '#test/servers/nginx.ts';
import { examine, type Plant } from './examination.ts';

let gateway: TestGateway;
before(async () => {
  gateway = await startSite();
});
after(async () => await gateway[Symbol.asyncDispose]());

/** Takes every line with `part` out of one snippet. */
function without(file: string, part: string): NginxOptions['spoil'] {
  return (text, name) => {
    if (name !== file) return text;
    assert.ok(text.includes(part), part);
    return text
      .split('\n')
      .filter((line) => !line.includes(part))
      .join('\n');
  };
}

function replaced(file: string, part: string, by: string): NginxOptions['spoil'] {
  return (text, name) => {
    if (name !== file) return text;
    assert.ok(text.includes(part), part);
    return text.replaceAll(part, by);
  };
}

describe('vratar doctor', () => {
  const plants: readonly (Plant & {
    readonly name: string;
    readonly finds: readonly ProbeName[];
    readonly says: RegExp;
    readonly mends: string;
  })[] = [
    {
      name: 'an identity header that is not cleared',
      spoil: without('vratar-protect.conf', 'proxy_set_header Remote-Roles'),
      finds: ['forged-identity'],
      says: /received Remote-Roles: vratar-doctor-forged/,
      mends: 'proxy_set_header Remote-Roles $vratar_roles;',
    },
    {
      name: 'an underscore twin',
      spoil: replaced('vratar-http.conf', 'underscores_in_headers off', 'underscores_in_headers on'),
      finds: ['twins'],
      says: /received Remote_User: /,
      mends: 'underscores_in_headers off;',
    },
    {
      name: 'a twin with a dot',
      spoil: replaced('vratar-http.conf', 'ignore_invalid_headers on', 'ignore_invalid_headers off'),
      finds: ['twins'],
      says: /received Remote\.User: /,
      mends: 'ignore_invalid_headers on;',
    },
    {
      name: 'X-Forwarded-For appended blindly for the application',
      spoil: replaced(
        'vratar-protect.conf',
        'X-Forwarded-For $remote_addr',
        'X-Forwarded-For $proxy_add_x_forwarded_for',
      ),
      finds: ['forwarded-for'],
      says: /the application received X-Forwarded-For: 203\.0\.113\.77, 127\.0\.0\.1/,
      mends: 'proxy_set_header X-Forwarded-For $remote_addr;',
    },
    {
      name: 'X-Forwarded-For appended blindly in the question',
      spoil: replaced(
        'vratar.conf',
        'X-Forwarded-For $remote_addr',
        'X-Forwarded-For $proxy_add_x_forwarded_for',
      ),
      finds: ['forwarded-for'],
      says: /the gateway is told the X-Forwarded-For that the client made up/,
      mends: 'proxy_set_header X-Forwarded-For $remote_addr;',
    },
    {
      name: 'a redirect inside auth_request',
      spoil: (text, name) =>
        name === 'vratar.conf'
          ? text
              .replace(
                'location = /_vratar/auth/nginx {\n    internal;\n    proxy_pass http://vratar;',
                `location = /_vratar/auth/nginx {
    internal;
    proxy_pass http://vratar/_vratar/auth/traefik;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header X-Forwarded-Method $request_method;`,
              )
              .replace(
                /(auth\/traefik;[^}]*?)\n {4}proxy_set_header X-Forwarded-Method "";\n {4}proxy_set_header X-Forwarded-Uri "";/,
                '$1',
              )
          : text,
      finds: ['navigation'],
      says: /GET by a person gets 503: a redirect inside the question/,
      mends: 'error_page 401 = $vratar_on_challenge;',
    },
    {
      name: 'cookies of the gateway that are not relayed',
      spoil: replaced(
        'vratar.conf',
        '    # The gateway takes forms up to 16 KiB.',
        '    proxy_hide_header Set-Cookie;',
      ),
      finds: ['cookie-relay'],
      says: /the cookie of the sign-in form does not arrive/,
      mends: 'add_header Set-Cookie $vratar_set_cookie always;',
    },
    {
      name: 'an endpoint that strangers reach',
      spoil: replaced('vratar.conf', 'auth/nginx {\n    internal;', 'auth/nginx {'),
      finds: ['endpoint'],
      says: /\/_vratar\/auth\/nginx answers a stranger/,
      mends: 'internal;',
    },
    {
      name: 'a location without auth_request',
      server: 'location /static/ { proxy_pass ${application}; }',
      finds: ['locations'],
      says: /\/static\/vratar-doctor is served without a question \(200\)/,
      mends: 'location / { include snippets/vratar-protect.conf; proxy_pass http://127.0.0.1:3000; }',
    },
    {
      name: 'a location that is named with --path',
      server: 'location /reports/ { return 200 "report"; }',
      argv: () => ['--path=/reports/2026'],
      finds: ['locations'],
      says: /\/reports\/2026 is served without a question \(200\)/,
      mends: 'location / { include snippets/vratar-protect.conf; proxy_pass http://127.0.0.1:3000; }',
    },
    {
      name: 'a Content-Length in the question',
      spoil: (text, name) =>
        without('vratar.conf', 'proxy_set_header Content-Length')?.(
          without('vratar.conf', 'proxy_pass_request_body off')?.(text, name) ?? '',
          name,
        ) ?? '',
      finds: ['body'],
      says: /the question announces a body \(Content-Length\)/,
      mends: 'proxy_set_header Content-Length "";',
    },
    {
      name: '$uri instead of $request_uri',
      spoil: replaced('vratar.conf', '$vratar_port$request_uri', '$vratar_port$uri'),
      finds: ['original-address'],
      // Inside the question $uri is the address of the endpoint: every page would be judged alike.
      says: /but the gateway judged http:\/\/app\.example\.test:\d+\/_vratar\/auth\/nginx$/m,
      mends: 'proxy_set_header X-Original-URL $scheme://$host$vratar_port$request_uri;',
    },
    {
      name: 'a decoded address in the question',
      spoil: replaced('vratar.conf', '$vratar_port$request_uri', '$vratar_port$decoded'),
      location: 'set $decoded $uri$is_args$args;',
      finds: ['original-address'],
      says: /but the gateway judged http:\/\/app\.example\.test:\d+\/vratar-doctor\/~a\/b;c=1\?q=%2F&r=1$/m,
      mends: 'proxy_set_header X-Original-URL $scheme://$host$vratar_port$request_uri;',
    },
    {
      name: 'an application that is reached past the proxy',
      argv: ({ echo }) => [`--direct=http://${echo}/`],
      finds: ['direct'],
      says: /answers 200 to anybody who reaches it/,
      mends:
        '# the application is reached through the front proxy only: let the application listen on loopback',
    },
    {
      name: 'the session ticket in the hands of the application',
      spoil: without('vratar-protect.conf', 'proxy_set_header Cookie'),
      finds: ['ticket'],
      says: /the application received Cookie: /,
      mends: 'proxy_set_header Cookie $vratar_application_cookie;',
    },
    {
      name: 'a metadata header of the client that reaches the gateway',
      spoil: without('vratar.conf', 'proxy_set_header X-Original-URI'),
      finds: ['forged-address'],
      says: /the gateway is told the X-Original-URI/,
      mends: 'proxy_set_header X-Original-URI "";',
    },
    {
      name: 'an identity that is not handed on',
      spoil: without('vratar-protect.conf', 'auth_request_set $vratar_user '),
      server: 'set $vratar_user "";',
      finds: ['identity'],
      says: /received Remote-User 0 times/,
      mends: 'auth_request_set $vratar_user $upstream_http_remote_user;',
    },
  ];
  for (const { name, finds, says, mends, argv = () => [], ...plant } of plants) {
    test(`finds ${name} and prints what mends it`, async () => {
      const { code, out, err } = await examine(gateway, {
        ...plant,
        argv: (addresses) => ['--public=/public/x', ...argv(addresses)],
      });
      assert.equal(err, '');
      assert.match(out, says);
      assert.ok(out.slice(out.indexOf('What mends it')).includes(`\n${mends}`), out);
      const failed = out.split('\n').flatMap((line) => (/^# (.+?): /.exec(line) ?? []).slice(1));
      assert.deepEqual(
        failed.length,
        finds.length,
        `more than what was planted: ${failed.join(' | ')}\n${out}`,
      );
      assert.equal(code, 1);
    });
  }
});

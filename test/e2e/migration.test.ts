/** nginx as people have it configured for oauth2-proxy or Authelia, with this gateway in their place. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { siteConfig } from '#test/gateway/site.ts';
import type { FrontProxy } from '#test/servers/front-proxy.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startNginx } from '#test/servers/nginx.ts';
import { startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { ask, Visitor } from '#test/support/http-client.ts';

/** The shape both documentations give, in the fewest directives. */
const oauth2Proxy = (port: number, upstream: string): string => `
server {
  listen 127.0.0.1:${port};
  server_name app.example.test;
  # Names that the shipped vratar-http.conf waits for.
  set $vratar_retry_after "";
  set $vratar_sign_in_url "";
  location /oauth2/ {
    proxy_pass http://vratar;
    proxy_set_header Host $host;
    proxy_set_header X-Auth-Request-Redirect $request_uri;
  }
  location = /oauth2/auth {
    proxy_pass http://vratar;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header Content-Length "";
    proxy_pass_request_body off;
  }
  location /_vratar/ {
    proxy_pass http://vratar;
    proxy_set_header Host $host;
  }
  location / {
    auth_request /oauth2/auth;
    error_page 401 = /oauth2/sign_in;
    auth_request_set $user $upstream_http_x_auth_request_user;
    auth_request_set $email $upstream_http_x_auth_request_email;
    proxy_set_header X-User $user;
    proxy_set_header X-Email $email;
    proxy_pass ${upstream};
  }
}`;

const authelia = (port: number, upstream: string): string => `
server {
  listen 127.0.0.1:${port};
  server_name wiki.example.test;
  # Names that the shipped vratar-http.conf waits for.
  set $vratar_retry_after "";
  set $vratar_sign_in_url "";
  location /internal/authelia/authz {
    internal;
    proxy_pass http://vratar/api/authz/auth-request;
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header Content-Length "";
    proxy_set_header Connection "";
    proxy_pass_request_body off;
    proxy_http_version 1.1;
  }
  location /_vratar/ {
    proxy_pass http://vratar;
    proxy_set_header Host $host;
  }
  location / {
    auth_request /internal/authelia/authz;
    auth_request_set $user $upstream_http_remote_user;
    auth_request_set $groups $upstream_http_remote_groups;
    proxy_set_header Remote-User $user;
    proxy_set_header Remote-Groups $groups;
    auth_request_set $redirection_url $upstream_http_location;
    error_page 401 =302 $redirection_url;
    proxy_pass ${upstream};
  }
}`;

let upstream: TestUpstream;
let gateway: TestGateway;
let nginx: FrontProxy;
before(async () => {
  upstream = await startUpstream();
  const { applications, ...rest } = siteConfig();
  gateway = await startGateway({
    config: {
      ...rest,
      server: {
        publicUrl: 'http://gw.example.test',
        trustedProxies: ['127.0.0.1/32'],
        compatibility: ['oauth2-proxy', 'authelia'],
      },
      applications: [
        ...applications,
        { name: 'wiki', hosts: ['wiki.example.test'], rules: applications[0]?.rules },
      ],
    },
  });
  nginx = await startNginx({
    gateway: `127.0.0.1:${gateway.port}`,
    servers: (port) => oauth2Proxy(port, upstream.url) + authelia(port, upstream.url),
  });
});
after(async () => {
  await nginx[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const received = (name: string): readonly string[] => valuesOf(upstream.received.at(-1)?.headers ?? [], name);

for (const { name, host, field } of [
  { name: 'oauth2-proxy', host: 'app.example.test', field: 'X-User' },
  { name: 'Authelia', host: 'wiki.example.test', field: 'Remote-User' },
]) {
  describe(`nginx set up for ${name}`, () => {
    const visitor = (): Visitor => new Visitor(nginx.port, [['Host', host]]);

    test('leads to the sign-in page, back to the page that was asked for, and names the person', async () => {
      const alice = visitor();
      const page = await alice.ask('/wiki/start?a=1', { headers: [['Accept', 'text/html']] });
      assert.equal(page.status, 302);
      const login = new URL(String(page.headers.location));
      assert.equal(login.host, host);
      assert.equal(login.searchParams.get('rd'), `http://${host}/wiki/start?a=1`);
      const secret = gateway.passwords.get('staff:alice') as string;
      const rd = login.searchParams.get('rd') as string;
      const signedIn = await alice.signIn('alice', secret, { rd });
      assert.equal(signedIn.status, 303);
      assert.equal(signedIn.headers.location, rd);
      assert.equal((await alice.ask('/wiki/start?a=1')).status, 200);
      assert.deepEqual(received(field), ['alice']);
    });

    test('denies what the rules deny, and lets pass what is public', async () => {
      const alice = visitor();
      await alice.signIn('alice', gateway.passwords.get('staff:alice') as string);
      assert.equal((await alice.ask('/admin/x')).status, 403);
      assert.equal(
        (await alice.ask('/admin/x', { headers: [['X-Original-URL', `http://${host}/public/x`]] })).status,
        403,
      );
      assert.equal(
        (await alice.ask('/api/x', { method: 'POST', headers: [['X-Forwarded-Method', 'GET']] })).status,
        403,
      );
      assert.equal((await visitor().ask('/public/x')).status, 200);
      assert.deepEqual(received(field), []);
    });

    test('passes no identity the client made up', async () => {
      await ask({
        port: nginx.port,
        path: '/public/x',
        headers: [
          ['Host', host],
          [field, 'root1'],
        ],
      });
      assert.deepEqual(received(field), []);
    });
  });
}

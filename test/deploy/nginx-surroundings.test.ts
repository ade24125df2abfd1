/** The shipped nginx snippets in configurations that do more than the example, and without a gateway behind them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protectedServer, startNginx } from '#test/servers/nginx.ts';
import { close, exchange, listen, portOf, record, type Seen } from '#test/support/loopback-http.ts';

const navigation = { 'Sec-Fetch-Mode': 'navigate', Accept: 'text/html' };
const script = { 'Sec-Fetch-Mode': 'cors', Accept: '*/*' };

test('the sign-in page works on a server that protects nothing', async () => {
  const asked: Seen[] = [];
  await using gateway = await listen(async (incoming, response) => {
    asked.push(await record(incoming));
    response.writeHead(200, { 'X-Large': 'x'.repeat(20_000), 'Content-Length': '0' }).end();
  });
  await using nginx = await startNginx({
    gateway: `127.0.0.1:${portOf(gateway)}`,
    servers: (port) => `server { listen 127.0.0.1:${port}; include snippets/vratar.conf; }`,
  });
  for (let round = 0; round < 3; round++) {
    const answer = await exchange(nginx.port, '/_vratar/login', {
      headers: { Host: 'wiki.example.com:8443' },
    });
    assert.equal(answer.status, 200);
  }
  assert.deepEqual(
    asked.map(({ headers }) => headers['host']),
    Array(3).fill('wiki.example.com:8443'),
  );
  assert.equal(new Set(asked.map(({ connection }) => connection)).size, 1, 'connections to the gateway');
  const tooLarge = await exchange(nginx.port, '/_vratar/login', {
    method: 'POST',
    body: 'x'.repeat(100_000),
  });
  assert.equal(tooLarge.status, 413);
  assert.equal(asked.length, 3);
});

test('a whole server block can be protected, with a cache and error pages of its own', async () => {
  await using application = await listen(async (_, response) => void response.end('application'));
  let verdicts = 0;
  await using gateway = await listen(async (incoming, response) => {
    const cacheable = { 'Cache-Control': 'max-age=60' };
    if (incoming.url === '/_vratar/auth/nginx') {
      verdicts += 1;
      const isAllowed = incoming.headers.cookie === 'vratar=ticket';
      const location = 'http://vratar/_vratar/login';
      if (isAllowed) response.writeHead(200, { ...cacheable, 'Content-Length': '0' }).end();
      else response.writeHead(401, { ...cacheable, Location: location, 'Content-Length': '0' }).end();
    } else if (incoming.url === '/_vratar/') {
      response.writeHead(302, { ...cacheable, Location: 'http://vratar/_vratar/login' }).end();
    } else {
      response.writeHead(404, cacheable).end(`gateway for ${String(incoming.headers.cookie)}`);
    }
  });
  await using nginx = await startNginx({
    gateway: `127.0.0.1:${portOf(gateway)}`,
    http: 'proxy_cache_path cache keys_zone=pages:1m;',
    servers: (port) => `
server {
  listen 127.0.0.1:${port};
  include snippets/vratar.conf;
  include snippets/vratar-protect.conf;
  proxy_cache pages;
  proxy_cache_valid any 1m;
  proxy_intercept_errors on;
  error_page 404 /missing;
  location / { proxy_cache off; proxy_pass http://127.0.0.1:${portOf(application)}; }
}`,
  });
  for (let round = 1; round <= 2; round++) {
    const person = await exchange(nginx.port, '/', { headers: navigation });
    assert.equal(person.status, 302);
    assert.equal(person.headers['location'], 'http://vratar/_vratar/login');
    assert.equal((await exchange(nginx.port, '/', { headers: script })).status, 401);
    assert.equal(
      (await exchange(nginx.port, '/', { headers: { Cookie: 'vratar=ticket' } })).body,
      'application',
    );
    assert.equal(verdicts, 3 * round, 'questions that reached the gateway');
  }
  for (const cookie of ['vratar=first', 'vratar=second']) {
    const page = await exchange(nginx.port, '/_vratar/login', { headers: { ...navigation, Cookie: cookie } });
    assert.equal(page.body, `gateway for ${cookie}`);
  }
  const redirected = await exchange(nginx.port, '/_vratar/', {});
  assert.equal(
    redirected.headers['location'],
    'http://vratar/_vratar/login',
    'the Location is not rewritten',
  );
});

test('an error page of the server block does not turn a refusal into a permission', async () => {
  let served = 0;
  await using application = await listen(async (_, response) => {
    served += 1;
    response.end('application');
  });
  await using gateway = await listen(async (_, response) => {
    response.writeHead(403, { 'Content-Length': '0' }).end();
  });
  await using nginx = await startNginx({
    gateway: `127.0.0.1:${portOf(gateway)}`,
    servers: (port) => `
server {
  listen 127.0.0.1:${port};
  proxy_intercept_errors on;
  error_page 403 =200 /friendly;
  location = /friendly { return 200 friendly; }
  include snippets/vratar.conf;
  location / { include snippets/vratar-protect.conf; proxy_pass http://127.0.0.1:${portOf(application)}; }
}`,
  });
  assert.equal((await exchange(nginx.port, '/', { headers: navigation })).status, 403);
  assert.equal(served, 0);
});

test('a gateway that is down means 503, and nobody passes', async () => {
  await using application = await listen(async (_, response) => void response.end('application'));
  const gone = await listen(async (_, response) => void response.end());
  const gateway = `127.0.0.1:${portOf(gone)}`;
  await close(gone);
  await using nginx = await startNginx({
    gateway,
    servers: (port) => protectedServer({ port, application: `http://127.0.0.1:${portOf(application)}` }),
  });
  const person = await exchange(nginx.port, '/', { headers: navigation });
  assert.equal(person.status, 503);
  assert.equal(person.headers['retry-after'], '5');
  assert.equal(person.headers['cache-control'], 'no-store');
  assert.match(person.body, /temporarily unavailable/);
  const program = await exchange(nginx.port, '/', { headers: script });
  assert.equal(program.status, 503);
  assert.equal(program.headers['cache-control'], 'no-store');
  assert.equal((JSON.parse(program.body) as { error: string }).error, 'GATEWAY_UNAVAILABLE');
});

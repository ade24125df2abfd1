import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type EchoedRequest, whoamiPage } from '#src/proxy/whoami.ts';

const request: EchoedRequest = {
  method: 'GET',
  target: '/a?b=1',
  headers: ['Host', 'app.example.com', 'Remote-User', 'ann', 'Cookie', 'theme=dark; session=s3cret; flag'],
  identityHeaders: ['remote-user', 'Remote-Name'],
};

function withHeaders(...headers: readonly string[]): EchoedRequest {
  return { ...request, headers };
}

interface EchoJson {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
}

function jsonOf(echoed: EchoedRequest): EchoJson {
  return JSON.parse(
    whoamiPage(withHeaders(...echoed.headers, 'Accept', 'application/json')).body,
  ) as EchoJson;
}

describe('the echo page', () => {
  test('shows the identity first and says which headers were not sent', () => {
    const { status, body } = whoamiPage(request);
    assert.equal(status, 200);
    const [identity = '', others = ''] = body.split('id="others"');
    assert.match(identity, /remote-user<\/th><td><bdi>ann</);
    assert.match(identity, /Remote-Name<\/th><td><span class="absent">not sent</);
    assert.match(others, /Host<\/th>/);
    assert.doesNotMatch(others, /Remote-User/);
  });

  test('shows every value of a repeated identity header, so that a smuggled one is seen', () => {
    const { body } = whoamiPage(withHeaders('Remote-User', 'ann', 'REMOTE-USER', 'admin'));
    assert.match(body, /<bdi>ann<[^]*<bdi>admin</);
  });

  test('tells an empty header from a missing one', () => {
    assert.match(
      whoamiPage(withHeaders('Remote-User', '')).body,
      /remote-user<\/th><td><span class="absent">empty</,
    );
  });

  test('reads UTF-8 that arrives as bytes, and leaves other bytes as they came', () => {
    const bytes = Buffer.from('Амели Хорват').toString('latin1');
    assert.ok(whoamiPage(withHeaders('Remote-Name', bytes)).body.includes('<bdi>Амели Хорват<'));
    assert.ok(whoamiPage(withHeaders('Remote-Name', 'Am\xe9lie')).body.includes('<bdi>Am\xe9lie<'));
  });

  test('names cookies and the scheme of a credential without their values', () => {
    const echoed = withHeaders(
      ...request.headers,
      'Authorization',
      'Bearer abc.def',
      'Proxy-Authorization',
      'xyz',
    );
    for (const text of [whoamiPage(echoed).body, JSON.stringify(jsonOf(echoed))]) {
      assert.doesNotMatch(text, /s3cret|abc\.def|xyz/);
      for (const shown of ['theme=[hidden]; session=[hidden]; [hidden]', 'Bearer [hidden]'])
        assert.ok(text.includes(shown));
    }
  });

  test('escapes whatever the request holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const hostile = `<script>"'${text}<img src=x onerror=y>`;
        const { body } = whoamiPage({
          method: hostile,
          target: hostile,
          headers: [hostile, hostile],
          identityHeaders: [hostile],
        });
        assert.doesNotMatch(body, /<script|<img|<\/style>[^]*<\/style>/);
      }),
    );
  });

  test('allows its own style by hash and nothing else', () => {
    const policy = whoamiPage(request).headers.find((value) => value.startsWith('default-src')) ?? '';
    assert.match(policy, /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'none'; /);
  });
});

describe('the echo answers JSON', () => {
  test('with method, target and every header in order', () => {
    assert.deepEqual(jsonOf(withHeaders('X-A', '1', 'x-b', '2', 'X-A', '3')), {
      method: 'GET',
      target: '/a?b=1',
      headers: [
        ['X-A', '1'],
        ['x-b', '2'],
        ['X-A', '3'],
        ['Accept', 'application/json'],
      ],
    });
  });

  const cases: readonly { accept: string; isJson: boolean }[] = [
    { accept: 'application/json', isJson: true },
    { accept: 'application/json, text/html;q=0.9', isJson: true },
    { accept: 'Application/JSON;q=0.5, */*;q=0.1', isJson: true },
    { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', isJson: false },
    { accept: 'text/html, application/json', isJson: false },
    { accept: 'text/html;q=0.4, application/json;q=0.3', isJson: false },
    { accept: 'application/json;q=0', isJson: false },
    { accept: 'application/json;q=x', isJson: false },
    { accept: '*/*', isJson: false },
    { accept: '', isJson: false },
    { accept: `application/json,${'x'.repeat(1_100)}`, isJson: false },
  ];
  for (const { accept, isJson } of cases) {
    test(`${isJson ? 'to' : 'not to'} Accept: ${accept.slice(0, 60)}`, () => {
      const type = whoamiPage(withHeaders('accept', accept)).headers[1];
      assert.equal(type, isJson ? 'application/json; charset=utf-8' : 'text/html; charset=utf-8');
    });
  }
});

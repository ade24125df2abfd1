import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { messages } from '#src/portal/messages/by-language.ts';
import { startUpstream } from '#test/servers/upstream.ts';
import { type LaunchedChromium, launchChromium } from '#test/support/chromium.ts';
import { headerOf, readTags, structureOf } from './markup.ts';
import { keptFormModel, samplePages } from './sample-pages.ts';

describe('the page of a kept form', () => {
  test('asks before anything is sent: a form to the application, its fields hidden, no script', () => {
    const page = samplePages.keptForm(keptFormModel, 'en');
    assert.equal(page.status, 200);
    const text = page.body.toString('utf8');
    const tags = readTags(text);
    const form = tags.find(({ name }) => name === 'form')?.attributes;
    assert.deepEqual([form?.get('method'), form?.get('action')], ['post', keptFormModel.action]);
    const inputs = tags.filter(({ name }) => name === 'input').map(({ attributes }) => attributes);
    assert.deepEqual(
      inputs.map((input) => [input.get('type'), input.get('name'), input.get('value')]),
      keptFormModel.fields.map(({ name, value }) => ['hidden', name, value]),
    );
    for (const shown of [keptFormModel.application, keptFormModel.place, keptFormModel.name])
      assert.ok(text.includes(shown), shown);
    assert.ok(!tags.some(({ name }) => name === 'script'));
    const policy = headerOf(page.headers, 'Content-Security-Policy') ?? '';
    assert.match(
      policy,
      /^default-src 'none'; .*frame-ancestors 'none'.*form-action 'self' https:\/\/\*\.example\.com:\*$/,
    );
    assert.equal(headerOf(page.headers, 'Cache-Control'), 'no-store');
    assert.equal(headerOf(page.headers, 'X-Frame-Options'), 'DENY');
  });

  test('has one button that sends and one link that does not', () => {
    const text = samplePages.keptForm(keptFormModel, 'en').body.toString('utf8');
    assert.equal(text.match(/<button[^>]*type="submit"/g)?.length, 1);
    assert.ok(text.includes(`>${messages.en.keptForm.submit}</button>`));
    assert.ok(text.includes(`href="${keptFormModel.action}">${messages.en.keptForm.discard}</a>`));
    // A name on the button would become a field of the application's form.
    assert.doesNotMatch(text, /<button[^>]* name=/);
  });

  test('keeps its structure whatever was written', () => {
    const render = (value: string) =>
      structureOf(
        samplePages
          .keptForm(
            {
              ...keptFormModel,
              application: value,
              place: value,
              fields: [{ name: value, value }],
              name: value,
            },
            'en',
          )
          .body.toString('utf8'),
      );
    const expected = render('x');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => assert.deepEqual(render(value), expected)),
    );
  });

  test('says that the form is gone, with the way back', () => {
    const page = samplePages.goneForm({ backTo: '/wiki/new?a=1' }, 'en');
    assert.equal(page.status, 410);
    const text = page.body.toString('utf8');
    assert.ok(text.includes(messages.en.keptForm.goneTitle) && text.includes('href="/wiki/new?a=1"'));
    assert.doesNotMatch(text, /<form/);
  });
});

describe('a browser', () => {
  let chromium: LaunchedChromium;
  before(async () => {
    chromium = await launchChromium();
  });
  after(async () => await chromium[Symbol.asyncDispose]());

  test('sends the same bytes again, by the keyboard and with its scripts off', async () => {
    const bodies: string[] = [];
    const fields: [string, string][] = [
      ['text', 'one\r\n\r\ntwo \u00e9\u{1f600} +&=%'],
      ['markup', '"><b>&amp;\'</form>'],
      ['tag', 'b'],
      ['tag', 'a'],
      ['blanks', '  \t '],
      ['_charset_', 'UTF-8'],
      ['\u0434\u0430', ''],
    ];
    await using server = await startUpstream((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.method === 'POST') {
          bodies.push(Buffer.concat(chunks).toString('latin1'));
          response.end('received');
          return;
        }
        const action = `http://${request.headers.host ?? ''}/save?x=1`;
        const page = samplePages.keptForm(
          { ...keptFormModel, action, fields: fields.map(([name, value]) => ({ name, value })) },
          'en',
        );
        response.writeHead(page.status, page.headers).end(page.body);
      });
    });
    const context = await chromium.browser.newContext({ javaScriptEnabled: false });
    try {
      const page = await context.newPage();
      await page.goto(server.url);
      await page.getByRole('button', { name: messages.en.keptForm.submit }).focus();
      await page.keyboard.press('Enter');
      await page.waitForURL(`${server.url}/save?x=1`);
      assert.deepEqual(bodies, [new URLSearchParams(fields).toString()]);
    } finally {
      await context.close();
    }
  });
});

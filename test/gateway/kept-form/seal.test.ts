import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { formId, openForm, sealForm } from '#src/gateway/kept-form/seal.ts';
import { createTicket } from '#src/session/ticket.ts';

const form = { application: 'app', target: '/save?x=1', body: 'secret=hunter2' };
const origin = 'https://app.example.test';

test('a sealed form opens with its ticket, origin and salt, and with nothing else', () => {
  const [ticket, salt] = [createTicket(), randomBytes(32)];
  const sealed = sealForm(form, ticket, origin, salt);
  assert.deepEqual(openForm(sealed, ticket, origin, salt), form);
  assert.throws(() => openForm(sealed, createTicket(), origin, salt));
  assert.throws(() => openForm(sealed, ticket, 'https://other.example.test', salt));
  assert.throws(() => openForm(sealed, ticket, origin, randomBytes(32)));
  for (const at of [0, 12, 28, sealed.length - 1]) {
    const changed = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte));
    assert.throws(() => openForm(changed, ticket, origin, salt), `byte ${at}`);
  }
});

test('the sealed form shows nothing of itself, and no two are alike', () => {
  const [ticket, salt] = [createTicket(), randomBytes(32)];
  const sealed = Buffer.from(sealForm(form, ticket, origin, salt));
  for (const text of ['hunter2', '/save', 'app']) assert.ok(!sealed.includes(text), text);
  assert.ok(!sealed.equals(sealForm(form, ticket, origin, salt)));
});

test('the name of a form says nothing of its ticket and is another one on another origin', () => {
  const ticket = createTicket();
  const names = [
    formId(ticket, origin),
    formId(ticket, 'http://app.example.test'),
    formId(createTicket(), origin),
  ];
  assert.equal(new Set(names).size, 3);
  for (const name of names) assert.ok(!name.includes(ticket));
});

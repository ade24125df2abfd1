/** Rows about values of the directory on their way into headers: a person is made who has the value, and asks for a page. */
import assert from 'node:assert/strict';
import type { Slapd } from '#test/servers/slapd.ts';
import { groupDn, groupsBase, peopleBase } from '#test/servers/slapd-data.ts';
import { type AttackRow, expandRepeats } from './attack-rows.ts';
import type { UpstreamRequest } from './echo-upstream.ts';
import { getAs, postLogin, ticketIn } from './login-rows.ts';
import { rightPassword } from './people.ts';
import type { Rig } from './rig.ts';
import { headerValues } from './wire-client.ts';

/** Which header carries which attribute. */
const headerOf: Readonly<Record<string, string>> = {
  displayName: 'x-auth-name',
  mail: 'x-auth-email',
  uid: 'x-auth-user',
  group: 'x-auth-groups',
};

/** Words the rows look for in the log, as the product writes them. */
const identityRejected = 'identity.rejected';

export async function runEncodeRow(row: AttackRow, rig: Rig): Promise<void> {
  const { slapd } = await rig.servers();
  try {
    await encode(row, rig);
  } finally {
    // Another row may look for the same address. The group loses its member by itself.
    await slapd.modify(`dn: ${dnOf(row)}\nchangetype: delete\n`);
  }
}

export const dnOf = ({ id }: AttackRow): string => `cn=${id.toLowerCase()},${peopleBase}`;

async function encode(row: AttackRow, rig: Rig): Promise<void> {
  const { mode = 'percent', attribute = '' } = row.input;
  const { slapd, upstream } = await rig.servers();
  const site = await rig.site(mode === 'percent' ? {} : { 'headers.encoding': mode });
  const username = await addPerson(slapd, row);
  const logBefore = site.gateway.logText.length;
  const signedIn = await postLogin(site, { username, password: rightPassword, provider: 'corp' });
  const [answer] = signedIn.answers;
  const log = (): string => site.gateway.logText.slice(logBefore);
  const { status, log_has: logHas } = row.expect;
  if (logHas === 'identity_rejected') assert.ok(log().includes(identityRejected), log());
  if (status === 403) {
    assert.equal(answer?.status, 403, log());
    assert.equal(ticketIn(signedIn, site), undefined);
    return;
  }
  assert.equal(answer?.status, 303, log());
  upstream.reset();
  const { answers } = await getAs(site, ticketIn(signedIn, site), '/any/x');
  assert.equal(answers[0]?.status, 200);
  const [received] = upstream.completed;
  assert.ok(received !== undefined);
  expectHeaders(row, received, headerOf[attribute] ?? '');
}

function expectHeaders({ expect }: AttackRow, received: UpstreamRequest, ownHeader: string): void {
  for (const [key, expected] of Object.entries(expect)) {
    switch (key) {
      case 'status':
      case 'log_has':
        break;
      case 'header_bytes':
      case 'header_bytes_latin1':
      case 'upstream_has':
        for (const [name, value] of Object.entries(expected as Record<string, string | string[]>)) {
          assert.deepEqual(headerValues(received, name), [value].flat(), name);
        }
        break;
      case 'header_bytes_hex':
        for (const [name, hex] of Object.entries(expected as Record<string, string>)) {
          const bytes = headerValues(received, name).map((value) =>
            Buffer.from(value, 'latin1').toString('hex'),
          );
          assert.deepEqual(bytes, [hex], name);
        }
        break;
      case 'header_max_bytes': {
        const [value = ''] = headerValues(received, ownHeader);
        assert.ok(value !== '' && value.length <= Number(expected), String(value.length));
        break;
      }
      case 'group_dropped':
        assert.deepEqual(headerValues(received, 'x-auth-groups'), []);
        break;
      default:
        assert.fail(`nothing checks "${key}"`);
    }
  }
}

/** Adds a person (and a group) with the row's value; answers the name to sign in with. */
export async function addPerson(slapd: Slapd, row: AttackRow): Promise<string> {
  const { id, input } = row;
  const key = id.toLowerCase();
  const value = expandRepeats(input.value ?? '');
  const dn = dnOf(row);
  const mail = input.attribute === 'mail' ? value : `${key}@example.test`;
  const group = input.attribute === 'group' ? value : undefined;
  await slapd.modify(
    ldif(dn, {
      objectClass: 'inetOrgPerson',
      uid: input.attribute === 'uid' ? value : key,
      sn: key,
      mail,
      userPassword: rightPassword,
      ...(input.attribute === 'displayName' ? { displayName: value } : {}),
    }),
  );
  await slapd.modify(
    group === undefined
      ? `dn: ${groupDn('staff')}\nchangetype: modify\nadd: member\nmember: ${dn}\n`
      : ldif(
          `cn=${escapeDn(group)},ou=${key},${groupsBase}`,
          { objectClass: 'groupOfNames', cn: group, member: dn },
          key,
        ),
  );
  return input.attribute === 'uid' ? mail : key;
}

/** A change record; values in base64 (RFC 2849). `unit`: an organisational unit that is made first. */
function ldif(dn: string, attributes: Readonly<Record<string, string>>, unit?: string): string {
  const lines = [`dn:: ${base64(dn)}`, 'changetype: add'];
  for (const [name, value] of Object.entries(attributes)) lines.push(`${name}:: ${base64(value)}`);
  const parent =
    unit === undefined
      ? ''
      : `dn: ou=${unit},${groupsBase}\nchangetype: add\nobjectClass: organizationalUnit\nou: ${unit}\n\n`;
  return `${parent}${lines.join('\n')}\n`;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** RFC 4514 section 2.4, by hex pairs wherever it matters. */
function escapeDn(value: string): string {
  return value.replace(/[^A-Za-z0-9 ]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

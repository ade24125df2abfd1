/** From an entry to a person: which attribute is what, and what an entry must have. */
import { GatewayError } from '../errors.ts';
import { normalizeDn } from '../identity/distinguished-name.ts';
import type { DirectoryPerson } from './directory.ts';
import { type LdapEntry, readValue, readValues } from './entry.ts';
import type { PeopleSettings } from './kinds.ts';
import { readStableId } from './stable-id.ts';

/** Everything but the groups. Throws GatewayError PROVIDER_MISCONFIGURED when the entry has no account name. */
export function toPerson(
  entry: LdapEntry,
  settings: PeopleSettings,
  directory: string,
): Omit<DirectoryPerson, 'groups'> {
  const { attributes } = settings;
  const username = canonicalUsername(entry, attributes.username);
  if (username === undefined) {
    throw new GatewayError(
      'PROVIDER_MISCONFIGURED',
      `directory ${directory}: the entry found has no readable ${attributes.username}`,
      { fields: { directory, attribute: attributes.username, dn: entry.dn } },
    );
  }
  const further: Record<string, readonly string[]> = {};
  for (const [name, attribute] of settings.furtherAttributes) further[name] = readValues(entry, attribute);
  return {
    dn: entry.dn,
    id: readStableId(entry, settings.idAttributes),
    username,
    email: readValue(entry, attributes.email),
    displayName: readValue(entry, attributes.displayName),
    givenName: readValue(entry, attributes.givenName),
    familyName: readValue(entry, attributes.familyName),
    attributes: further,
  };
}

/** One name for one entry, whichever of its names was typed: values have no order (RFC 4511 section 4.1.7). */
function canonicalUsername(entry: LdapEntry, attribute: string): string | undefined {
  const values = readValues(entry, attribute);
  if (values.length < 2) return values[0];
  const dn = normalizeDn(entry.dn);
  const named = values.find((value) => dn.startsWith(`${attribute.toLowerCase()}=${value.toLowerCase()},`));
  return named ?? values.toSorted()[0];
}

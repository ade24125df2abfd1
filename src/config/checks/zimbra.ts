/** What a mailbox needs beside its options: templates that name one fact of a person, keys that can be told apart, https. */
import { isKnownPlaceholder, templatePlaceholders } from '../../headers/template.ts';
import { isLoopback } from '../../lib/loopback.ts';
import type { ConfigPath, Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

/** Lists are no identifiers, and no two people share one's. */
const lists: ReadonlySet<string> = new Set(['groups', 'roles', 'accessLevel']);

type Mailbox = NonNullable<Readable['zimbra'][number]>;

export function checkZimbra({ zimbra }: Readable): readonly Finding[] {
  return zimbra.flatMap((mailbox, index) =>
    mailbox === undefined ? [] : findings(mailbox, ['zimbra', index]),
  );
}

function findings(mailbox: Mailbox, at: ConfigPath): readonly Finding[] {
  const { by, domain, domains, url, adminUrl, admin } = mailbox;
  const found: Finding[] = [...template(mailbox.account, [...at, 'account'])];
  const add = (path: ConfigPath, message: string): void => {
    found.push({ path: [...at, ...path], message });
  };
  if (templatePlaceholders(mailbox.account).length === 0) {
    add(['account'], 'is the same for everybody: everybody would open one mailbox');
  }
  if (domain !== undefined) {
    found.push(...template(domain, [...at, 'domain']));
    if (by === 'name') add(['domain'], 'is not used with by: name, where the account names its domain');
  } else if (by !== 'name' && Object.keys(domains).length > 1) {
    add(['by'], `${by} does not say which of the domains' keys signs; set domain`);
  }
  if (isInClear(url)) add(['url'], 'would carry the sign-in in clear text; use https');
  if (adminUrl !== undefined && isInClear(adminUrl)) {
    add(['adminUrl'], 'would carry the sign-in in clear text; use https');
  }
  if (adminUrl === undefined && admin !== undefined) add(['admin'], 'needs adminUrl');
  if (adminUrl !== undefined && admin === undefined)
    add(['adminUrl'], 'needs admin, who may open the console');
  for (const [name, { nextPreauthKey, nextKeyFrom }] of Object.entries(domains)) {
    if (nextPreauthKey !== undefined && nextKeyFrom === undefined && mailbox.interface === 'url') {
      add(
        ['domains', name, 'nextPreauthKey'],
        'needs nextKeyFrom, or interface: soap, which finds out by itself',
      );
    }
  }
  return found;
}

function template(text: string, path: ConfigPath): readonly Finding[] {
  return templatePlaceholders(text).flatMap((placeholder): readonly Finding[] => {
    if (isKnownPlaceholder(placeholder) && !lists.has(placeholder)) return [];
    return [{ path, message: `\${${placeholder}} is no single fact about a person` }];
  });
}

function isInClear(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isLoopback(hostname);
}

/** One-time passwords for accounts that the configuration lists without a hash: made at start, gone at the end. */
import { randomBytes } from 'node:crypto';
import type { ProviderOptions } from '../options.ts';
import { createPasswordHash } from '../password-hash.ts';

export interface GeneratedPasswords {
  /** PHC hashes by `provider:username`, for the workers. */
  readonly hashes: ReadonlyMap<string, string>;
  /** The passwords by `provider:username`, for the terminal and nothing else. */
  readonly passwords: ReadonlyMap<string, string>;
}

/** Accounts that have a password in `previous` keep it. */
export async function generatePasswords(
  providers: readonly ProviderOptions[],
  previous: GeneratedPasswords = { hashes: new Map(), passwords: new Map() },
): Promise<GeneratedPasswords> {
  const hashes = new Map<string, string>();
  const passwords = new Map<string, string>();
  for (const provider of providers) {
    if (provider.type !== 'local') continue;
    for (const { username, passwordHash } of provider.users) {
      if (passwordHash !== undefined) continue;
      const account = generatedAccount(provider.name, username);
      const password = previous.passwords.get(account) ?? generatePassword();
      passwords.set(account, password);
      hashes.set(account, previous.hashes.get(account) ?? (await createPasswordHash(password)));
    }
  }
  return { hashes, passwords };
}

export function generatedAccount(provider: string, username: string): string {
  return `${provider}:${username}`;
}

/** Without the letters and digits that are mistaken for each other when read aloud or copied by hand. */
const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
const passwordGroups = 4;
const groupLength = 5;

/** 20 letters of 31 in groups of five: 99 bits. */
export function generatePassword(): string {
  const groups = Array.from({ length: passwordGroups }, () =>
    Array.from({ length: groupLength }, randomLetter).join(''),
  );
  return groups.join('-');
}

function randomLetter(): string {
  // Values that would make some letters likelier than others are drawn again.
  const limit = 256 - (256 % letters.length);
  for (;;) {
    const [value = limit] = randomBytes(1);
    if (value < limit) return letters.charAt(value % letters.length);
  }
}

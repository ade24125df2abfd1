/** One table of people and groups that every kind of directory is filled with, each in its own attributes. */

/** What the directory shall say of an account. `lockable`: three wrong passwords lock it. */
export type AccountState =
  | 'normal'
  | 'disabled'
  | 'lockable'
  | 'password-must-change'
  | 'password-expired'
  | 'account-expired';

export interface Account {
  readonly username: string;
  /** A second value of the attribute that identifies people. */
  readonly alias?: string;
  readonly password: string;
  readonly givenName: string;
  readonly familyName: string;
  readonly email: string;
  /** Name with a suffix of its own: userPrincipalName, krbPrincipalName. OpenLDAP has none. */
  readonly principal?: string;
  readonly state: AccountState;
}

const plain = (username: string, state: AccountState = 'normal'): Account => ({
  username,
  password: passwordOf(username),
  givenName: username,
  familyName: 'Test',
  email: `${username}@example.test`,
  state,
});

/** Long and mixed enough for a domain's rules. */
function passwordOf(username: string): string {
  return `${username}-Passw0rd`;
}

export const accounts: readonly Account[] = [
  plain('anna'),
  {
    username: 'fyodor',
    password: 'Пароль-Фёдора-1',
    givenName: 'Фёдор',
    familyName: 'Петров',
    email: 'fyodor@example.test',
    principal: 'f.petrov@sales.test',
    state: 'normal',
  },
  {
    username: 'юлия',
    password: 'Пароль-Юлии-1',
    givenName: 'Юлия',
    familyName: 'Смирнова',
    email: 'yulia@example.test',
    state: 'normal',
  },
  { ...plain('maria'), alias: 'maria.old' },
  // The address of one is what the other may be called.
  plain('petra'),
  { ...plain('pavel'), email: 'petra@corp.test' },
  plain('deep'),
  plain('leaver'),
  plain('disabled', 'disabled'),
  plain('guessed', 'lockable'),
  plain('guessed2', 'lockable'),
  plain('newcomer', 'password-must-change'),
  plain('aged', 'password-expired'),
  plain('gone', 'account-expired'),
];

export interface AccountGroup {
  readonly name: string;
  readonly accounts?: readonly string[];
  readonly groups?: readonly string[];
}

/** `deep` is in `nest-0`, which is in two others, and so on: 200 groups, eight levels. */
export const nestedGroups = 200;

/** Members before the groups they are in. ring-a and ring-b contain each other, once `loop` is applied. */
export const accountGroups: readonly AccountGroup[] = [
  { name: 'crew', accounts: accounts.map(({ username }) => username) },
  { name: 'workforce', groups: ['crew'] },
  { name: 'company', groups: ['workforce'] },
  { name: 'stewards', accounts: ['anna'] },
  { name: 'ring-a', accounts: ['anna'] },
  { name: 'ring-b', groups: ['ring-a'] },
  { name: 'nest-0', accounts: ['deep'] },
  ...Array.from({ length: nestedGroups - 1 }, (_, n) => ({
    name: `nest-${n + 1}`,
    groups: [`nest-${Math.floor(n / 2)}`],
  })),
];

/** The membership that closes the loop. */
export const loop = { group: 'ring-a', member: 'ring-b' } as const;

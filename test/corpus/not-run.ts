/** Rows that do not run, each by its id with one of two reasons. A row that is neither here nor run fails the report. */

export type NotRunReason = 'a feature of a later version' | 'a mechanism this architecture does not have';

interface NotRun {
  readonly reason: NotRunReason;
  readonly note: string;
}

const later = (note: string): NotRun => ({ reason: 'a feature of a later version', note });
const absent = (note: string): NotRun => ({ reason: 'a mechanism this architecture does not have', note });

export const notRun: Readonly<Record<string, NotRun>> = {
  'HS-021': later('bearer credentials'),
  'HO-013': later('sign-in at an OpenID provider'),
  'FA-016': later('a store shared by several nodes'),
  'FA-017': absent('no way to make a rule throw: rules are data, compiled to comparisons'),
  'LM-007': absent('no way to make a rule throw: rules are data, compiled to comparisons'),
  'CS-007': later('administration over HTTP'),
  'CS-008': later('administration over HTTP'),
  'CS-010': later('administration over HTTP'),
  'LG-006': later('devices a person has signed in from'),
  'SE-003': absent('the cookie is an opaque ticket, no key seals it'),
  'SE-004': later('sign-in at an OpenID provider, with its state cookie'),
  'SE-008': absent('the cookie is an opaque ticket, no key seals it'),
  'SE-014': later('sessions that end with a change of the password'),
  'SE-018': later('sign-in at an OpenID provider, with refresh tokens'),
  'SE-019': later('sessions isolated to one host'),
  'SE-020': later('administration over HTTP'),
  'SE-021': absent('the cookie is an opaque ticket, no key seals it'),
  'SE-025': later('administration over HTTP'),
  'EN-005': absent('no encoding of header values as quoted-printable'),
  'EN-018': later('claims of a token, the only values that can hold half a character'),
  'CF-013': absent('rules have globs, no regular expressions'),
  'CF-016': absent('no key of sessions in the configuration'),
  'LD-023': absent('what is known of a person comes with the search that finds the entry'),
  'LG-019': later('a store shared by several nodes'),
  'SE-027': absent(
    'syncs are those of SQLite; to see one from outside takes a tracer, which the machines of the tests do not have',
  ),
  'DS-012': absent('tickets have no seal: an unknown one is looked up in the store'),
  'DS-013': later('bearer credentials'),
  'LD-034': absent('a typed name is never the name of a bind'),
  'LD-035': absent('a typed name is never the name of a bind'),
  'LD-036': absent('a typed name is never the name of a bind'),
  'LD-037': absent('a typed name is never the name of a bind'),
  'LD-029': later('directories of the kind activeDirectory'),
  'LD-030': later('directories of the kind activeDirectory'),
  'KB-015': absent('passwords are never checked against a KDC'),
  'LM-008': later('administration over HTTP'),
  'XS-005': later('sign-in at a REST service'),
  'XS-006': later('sign-in at a REST service'),
  'XS-007': later('sign-in at a REST service'),
  'XS-008': later('sign-in at a REST service'),
  'XS-009': later('sign-in at a REST service'),
  'XS-010': later('sign-in at a REST service'),
  'XS-011': later('sign-in at a REST service'),
  'XS-012': later('sign-in at a REST service'),
};

/** What every language must say. Counts and durations are functions, because each language inflects them its own way. */
import type { PasswordRefusal } from '../../identity/outcome.ts';

/** Statuses that have a page; each has a title and one sentence about what to do. */
export const errorStatuses = [
  400, 401, 403, 404, 405, 413, 414, 415, 421, 429, 431, 500, 501, 502, 503, 504, 505,
] as const;
export type ErrorStatus = (typeof errorStatuses)[number];

export interface ErrorText {
  readonly title: string;
  readonly advice: string;
}

export interface Messages {
  /** The language's own name, for the switch. */
  readonly languageName: string;
  readonly languageSwitch: string;
  readonly signIn: {
    readonly title: string;
    readonly destination: string;
    readonly username: string;
    readonly password: string;
    readonly provider: string;
    /** Which one is left to the account name. */
    readonly anyProvider: string;
    readonly submit: string;
    readonly or: string;
    readonly continueWith: (provider: string) => string;
    readonly noProvider: string;
    /** Prefix of the title after a failed attempt: a screen reader says the title first. */
    readonly failedTitle: string;
    /** The same sentence for an unknown account, a wrong password and a locked account. */
    readonly rejected: string;
    readonly throttled: (retryAfterSeconds: number) => string;
    readonly unavailable: string;
    /** The button that tries the ticket of a domain account. */
    readonly domainAccount: string;
    /** The ticket was no use; whatever the page offers is another way. */
    readonly ticketRefused: string;
    /** The ticket is right, the account may not. */
    readonly ticketDenied: string;
  };
  readonly passwordChange: {
    readonly title: string;
    readonly failedTitle: string;
    readonly mustChange: string;
    readonly expired: string;
    readonly current: string;
    readonly fresh: string;
    readonly again: string;
    readonly submit: string;
    /** Above the link to the operator's own page. */
    readonly elsewhere: string;
    readonly elsewhereLink: string;
    readonly nowhere: string;
    readonly backToSignIn: string;
    readonly refusals: Readonly<Record<PasswordRefusal, string>>;
    /** Behind a refusal of the directory: nothing is lost. */
    readonly kept: string;
    /** The outage may have come before or after the change. */
    readonly unavailable: string;
    /** On the sign-in page, when the sign-in that follows a change did not succeed. */
    readonly changed: string;
  };
  readonly portal: {
    readonly title: string;
    readonly account: string;
    readonly groups: (count: number) => string;
    readonly roles: string;
    readonly signedInThrough: (provider: string) => string;
    readonly administration: (application: string) => string;
    readonly noApplications: string;
    readonly noApplicationsAdvice: string;
    readonly accessLevels: { readonly auditor: string; readonly administrator: string };
  };
  readonly signOut: {
    readonly title: string;
    readonly question: string;
    readonly submit: string;
    readonly stay: string;
    readonly pendingTitle: string;
    readonly pendingText: string;
    readonly pendingAdvice: string;
    readonly signInAgain: string;
  };
  /** The form of a person whose session ended while they filled it in. */
  readonly keptForm: {
    readonly title: string;
    readonly waiting: (application: string) => string;
    readonly once: string;
    readonly submit: string;
    readonly discard: string;
    readonly goneTitle: string;
    readonly goneText: string;
    readonly back: string;
  };
  readonly error: {
    readonly requestId: string;
    readonly requestIdHint: string;
    readonly toPortal: string;
    readonly signedInAs: string;
    readonly otherAccount: string;
    readonly formExpired: ErrorText;
    /** The person has no mailbox, or none on this mail server. */
    readonly mailboxMissing: ErrorText;
    /** The mail server does not let the gateway sign people in. */
    readonly mailboxRefused: ErrorText;
    readonly byStatus: Readonly<Record<ErrorStatus, ErrorText>>;
  };
}

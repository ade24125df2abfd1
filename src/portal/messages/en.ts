/** English. */
import type { Messages } from './dictionary.ts';
import { createDelay, createPlural } from './inflection.ts';

const delay = createDelay('en');

export const en = {
  languageName: 'English',
  languageSwitch: 'Language',
  signIn: {
    title: 'Sign in',
    destination: 'to continue to',
    username: 'Username',
    password: 'Password',
    provider: 'Account type',
    anyProvider: 'Find by username',
    submit: 'Sign in',
    or: 'or',
    continueWith: (provider) => `Continue with ${provider}`,
    noProvider: 'No way to sign in is set up here. Please ask your administrator.',
    failedTitle: 'Not signed in',
    rejected: 'The username or password is incorrect.',
    throttled: (seconds) => `Too many attempts. Please try again ${delay(seconds)}.`,
    unavailable:
      'Sign-in is unavailable right now. This does not mean that your password is wrong. Please try again in a minute.',
    domainAccount: 'Sign in with your domain account',
    ticketRefused: 'You could not be signed in automatically. Please sign in another way.',
    ticketDenied: 'Your domain account may not sign in here. If it should, ask your administrator.',
  },
  passwordChange: {
    title: 'Change your password',
    failedTitle: 'Password not changed',
    mustChange: 'Your password has to be changed before you can sign in.',
    expired: 'Your password has expired.',
    current: 'Current password',
    fresh: 'New password',
    again: 'New password again',
    submit: 'Change password and sign in',
    elsewhere: 'Change it on the page below, then sign in again.',
    elsewhereLink: 'Go to the password page',
    nowhere: 'It cannot be changed here. Please ask your administrator for a new one.',
    backToSignIn: 'Back to sign-in',
    refusals: {
      mismatch: 'The two new passwords are not the same.',
      same: 'The new password is the same as the current one.',
      malformed: 'The new password is empty, too long, or contains characters that are not allowed.',
      'too-short': 'The new password is too short.',
      quality: 'The new password is too simple. Make it longer, or mix letters, digits and other characters.',
      'in-history': 'You have used this password before. Choose another one.',
      'too-young': 'Your password was changed only recently and cannot be changed again yet.',
      rules:
        'The new password breaks a rule of your organisation: it may be too short, too simple or used before, or the last change is too recent.',
      'not-allowed': 'You cannot change your password here. Please ask your administrator.',
      'not-required': 'Your password does not have to be changed. Sign in with it.',
    },
    kept: 'Your current password has not been changed.',
    unavailable:
      'The password cannot be changed right now. Please try again in a minute. If your current password is refused then, sign in with the new one.',
    changed: 'Your password has been changed. Please sign in with the new one.',
  },
  portal: {
    title: 'Your applications',
    account: 'Your account',
    groups: createPlural('en', { one: '# group', other: '# groups' }),
    roles: 'Roles',
    signedInThrough: (provider) => `Signed in through ${provider}`,
    administration: (application) => `${application}: administration`,
    noApplications: 'No applications yet',
    noApplicationsAdvice: 'Nothing is open to your account so far. Ask your administrator for access.',
    accessLevels: { auditor: 'Auditor', administrator: 'Administrator' },
  },
  signOut: {
    title: 'Sign out',
    question: 'You will need your password again to open your applications.',
    submit: 'Sign out',
    stay: 'Stay signed in',
    pendingTitle: 'Signed out on this device',
    pendingText: 'The sign-out could not be recorded everywhere yet. We keep trying until it is.',
    pendingAdvice: 'On a shared computer, also close all browser windows.',
    signInAgain: 'Sign in again',
  },
  keptForm: {
    title: 'Send your form now?',
    waiting: (application) =>
      `You were sending a form to ${application}, but your session had ended. The form has not been sent yet.`,
    once: 'This page is shown once. If you leave it without sending, the form is lost.',
    submit: 'Send the form',
    discard: 'Do not send',
    goneTitle: 'The form is no longer there',
    goneText:
      'A form is kept for five minutes and shown once. Open the page again and check whether your entries have arrived before you repeat them.',
    back: 'Back to the page',
  },
  error: {
    requestId: 'Request ID',
    requestIdHint: 'Tell it to your administrator if you ask for help.',
    toPortal: 'Go to your applications',
    signedInAs: 'You are signed in as',
    otherAccount: 'Use another account',
    formExpired: {
      title: 'This form has expired',
      advice:
        'It was open for too long, or it was not sent from here. Open the page again and repeat the last step.',
    },
    mailboxMissing: {
      title: 'No mailbox for your account',
      advice:
        'Your account has no mail address that this mail server knows. Ask your administrator to set one.',
    },
    mailboxRefused: {
      title: 'The mail server did not let you in',
      advice: 'This is not your fault, and trying again at once would not help. Tell your administrator.',
    },
    byStatus: {
      400: { title: 'This request is malformed', advice: 'Check the address for mistakes and try again.' },
      401: { title: 'Please sign in', advice: 'This page is only for people who are signed in.' },
      403: {
        title: 'You have no access here',
        advice: 'Your account may not open this page. If you need it, ask your administrator for access.',
      },
      404: {
        title: 'Page not found',
        advice: 'There is nothing at this address. Check it for mistakes or start from your applications.',
      },
      405: {
        title: 'This action is not possible here',
        advice: 'The application does not take this kind of request. Go back and try another way.',
      },
      413: {
        title: 'That was too much at once',
        advice: 'What you sent is over the limit. Send less and try again.',
      },
      414: {
        title: 'The address is too long',
        advice: 'Shorten the address or start from your applications.',
      },
      415: { title: 'Unsupported format', advice: 'Send the data in the format that the page asks for.' },
      421: {
        title: 'Unknown site',
        advice: 'No application answers under this name. Check the address for mistakes.',
      },
      429: { title: 'Too many requests', advice: 'Wait a moment, then try again.' },
      431: {
        title: 'Your browser sent too much',
        advice: 'Delete the cookies of this site in your browser, then try again.',
      },
      500: { title: 'Something went wrong here', advice: 'It is not your fault. Try again in a moment.' },
      501: {
        title: 'This is not supported',
        advice: 'The request uses a feature that is not available here. Try another browser or program.',
      },
      502: {
        title: 'The application gives no proper answer',
        advice: 'It may be restarting. Try again in a minute.',
      },
      503: {
        title: 'Not available right now',
        advice: 'A service that is needed for the answer cannot be reached. Try again in a minute.',
      },
      504: {
        title: 'The application takes too long',
        advice: 'It did not answer in time. Try again in a minute.',
      },
      505: { title: 'HTTP version not supported', advice: 'Use a current browser or program.' },
    },
  },
} satisfies Messages;

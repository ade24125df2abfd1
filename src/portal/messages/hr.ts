/** Croatian. */
import type { Messages } from './dictionary.ts';
import { createDelay, createPlural } from './inflection.ts';

const delay = createDelay('hr');

export const hr = {
  languageName: 'Hrvatski',
  languageSwitch: 'Jezik',
  signIn: {
    title: 'Prijava',
    destination: 'za pristup aplikaciji',
    username: 'Korisničko ime',
    password: 'Lozinka',
    provider: 'Vrsta računa',
    anyProvider: 'Odredi prema korisničkom imenu',
    submit: 'Prijavite se',
    or: 'ili',
    continueWith: (provider) => `Nastavite putem: ${provider}`,
    noProvider: 'Ovdje nije postavljen nijedan način prijave. Obratite se administratoru.',
    failedTitle: 'Prijava nije uspjela',
    rejected: 'Korisničko ime ili lozinka nisu ispravni.',
    throttled: (seconds) => `Previše pokušaja. Pokušajte ponovno ${delay(seconds)}.`,
    unavailable:
      'Prijava trenutačno nije moguća. To ne znači da je lozinka pogrešna. Pokušajte ponovno za minutu.',
    domainAccount: 'Prijava domenskim računom',
    ticketRefused: 'Automatska prijava nije uspjela. Prijavite se na drugi način.',
    ticketDenied:
      'Vašem domenskom računu prijava ovdje nije dopuštena. Ako vam je potrebna, obratite se administratoru.',
  },
  passwordChange: {
    title: 'Promjena lozinke',
    failedTitle: 'Lozinka nije promijenjena',
    mustChange: 'Prije prijave morate promijeniti lozinku.',
    expired: 'Vaša je lozinka istekla.',
    current: 'Trenutačna lozinka',
    fresh: 'Nova lozinka',
    again: 'Nova lozinka još jednom',
    submit: 'Promijenite lozinku i prijavite se',
    elsewhere: 'Promijenite je na posebnoj stranici, a zatim se ponovno prijavite.',
    elsewhereLink: 'Na stranicu za promjenu lozinke',
    nowhere: 'Ovdje se ne može promijeniti. Zatražite novu lozinku od administratora.',
    backToSignIn: 'Natrag na prijavu',
    refusals: {
      mismatch: 'Nove lozinke nisu jednake.',
      same: 'Nova je lozinka jednaka trenutačnoj.',
      malformed: 'Nova je lozinka prazna, preduga ili sadrži nedopuštene znakove.',
      'too-short': 'Nova je lozinka prekratka.',
      quality: 'Nova je lozinka prejednostavna. Produljite je ili dodajte slova, brojke i druge znakove.',
      'in-history': 'Tu ste lozinku već upotrebljavali. Odaberite drugu.',
      'too-young': 'Lozinka je nedavno promijenjena i zasad se ne može ponovno mijenjati.',
      rules:
        'Nova lozinka krši pravilo vaše organizacije: možda je prekratka, prejednostavna ili već upotrijebljena, ili je posljednja promjena bila nedavno.',
      'not-allowed': 'Lozinku ovdje ne možete promijeniti. Obratite se administratoru.',
      'not-required': 'Lozinku ne morate mijenjati. Prijavite se trenutačnom.',
    },
    kept: 'Trenutačna lozinka nije promijenjena.',
    unavailable:
      'Lozinku trenutačno nije moguće promijeniti. Pokušajte ponovno za minutu. Ako se trenutačna lozinka tada odbije, prijavite se novom.',
    changed: 'Lozinka je promijenjena. Prijavite se novom lozinkom.',
  },
  portal: {
    title: 'Vaše aplikacije',
    account: 'Vaš račun',
    groups: createPlural('hr', { one: '# grupa', few: '# grupe', other: '# grupa' }),
    roles: 'Uloge',
    signedInThrough: (provider) => `Prijavljeni ste putem: ${provider}`,
    administration: (application) => `${application}: administracija`,
    noApplications: 'Još nema aplikacija',
    noApplicationsAdvice: 'Vašem računu zasad ništa nije dostupno. Zatražite pristup od administratora.',
    accessLevels: { auditor: 'Revizor', administrator: 'Administrator' },
  },
  signOut: {
    title: 'Odjava',
    question: 'Za ponovno otvaranje aplikacija trebat će vam lozinka.',
    submit: 'Odjavite se',
    stay: 'Nastavite bez odjave',
    pendingTitle: 'Odjavljeni ste na ovom uređaju',
    pendingText:
      'Odjavu još nije bilo moguće zabilježiti na svim poslužiteljima. Pokušavat ćemo dok ne uspije.',
    pendingAdvice: 'Na zajedničkom računalu zatvorite i sve prozore preglednika.',
    signInAgain: 'Prijavite se ponovno',
  },
  keptForm: {
    title: 'Poslati obrazac sada?',
    waiting: (application) =>
      `Slali ste obrazac u aplikaciju ${application}, ali je vaša sesija u međuvremenu istekla. Obrazac još nije poslan.`,
    once: 'Ova se stranica prikazuje samo jednom. Ako je napustite bez slanja, obrazac je izgubljen.',
    submit: 'Pošaljite obrazac',
    discard: 'Odustanite',
    goneTitle: 'Obrasca više nema',
    goneText:
      'Obrazac se čuva pet minuta i prikazuje jednom. Ponovno otvorite stranicu i prije ponovnog unosa provjerite jesu li podaci stigli.',
    back: 'Natrag na stranicu',
  },
  error: {
    requestId: 'Oznaka zahtjeva',
    requestIdHint: 'Navedite je administratoru ako zatražite pomoć.',
    toPortal: 'Na popis aplikacija',
    signedInAs: 'Prijavljeni ste kao',
    otherAccount: 'Upotrijebite drugi račun',
    formExpired: {
      title: 'Obrazac je istekao',
      advice:
        'Bio je predugo otvoren ili nije poslan odavde. Ponovno otvorite stranicu i ponovite posljednji korak.',
    },
    mailboxMissing: {
      title: 'Vaš račun nema poštanski sandučić',
      advice:
        'Vaš račun nema adresu koju ovaj poslužitelj pošte poznaje. Zamolite administratora da je upiše.',
    },
    mailboxRefused: {
      title: 'Poslužitelj pošte nije vas pustio',
      advice: 'Niste vi krivi, a ponavljanje odmah ne bi pomoglo. Obavijestite administratora.',
    },
    byStatus: {
      400: {
        title: 'Neispravan zahtjev',
        advice: 'Provjerite ima li u adresi pogrešaka i pokušajte ponovno.',
      },
      401: { title: 'Potrebna je prijava', advice: 'Ova je stranica samo za prijavljene osobe.' },
      403: {
        title: 'Nemate pristup',
        advice:
          'Vaš račun ne smije otvoriti ovu stranicu. Ako vam je potrebna, zatražite pristup od administratora.',
      },
      404: {
        title: 'Stranica nije pronađena',
        advice:
          'Na ovoj adresi nema ničega. Provjerite ima li u njoj pogrešaka ili krenite od svojih aplikacija.',
      },
      405: {
        title: 'Ova radnja ovdje nije moguća',
        advice: 'Aplikacija ne prima takve zahtjeve. Vratite se i pokušajte na drugi način.',
      },
      413: {
        title: 'Previše podataka odjednom',
        advice: 'Poslano prelazi dopuštenu veličinu. Pošaljite manje i pokušajte ponovno.',
      },
      414: { title: 'Adresa je preduga', advice: 'Skratite adresu ili krenite od svojih aplikacija.' },
      415: { title: 'Format nije podržan', advice: 'Pošaljite podatke u formatu koji stranica traži.' },
      421: {
        title: 'Nepoznato odredište',
        advice: 'Pod ovim imenom nema nijedne aplikacije. Provjerite ima li u adresi pogrešaka.',
      },
      429: { title: 'Previše zahtjeva', advice: 'Pričekajte trenutak pa pokušajte ponovno.' },
      431: {
        title: 'Preglednik je poslao previše podataka',
        advice: 'U pregledniku izbrišite kolačiće ove stranice pa pokušajte ponovno.',
      },
      500: { title: 'Nešto je pošlo po zlu', advice: 'Niste vi krivi. Pokušajte ponovno malo kasnije.' },
      501: {
        title: 'Ovo nije podržano',
        advice: 'Zahtjev koristi mogućnost koje ovdje nema. Pokušajte drugim preglednikom ili programom.',
      },
      502: {
        title: 'Aplikacija ne odgovara ispravno',
        advice: 'Možda se upravo ponovno pokreće. Pokušajte ponovno za minutu.',
      },
      503: {
        title: 'Trenutačno nedostupno',
        advice: 'Usluga bez koje nema odgovora nije dostupna. Pokušajte ponovno za minutu.',
      },
      504: {
        title: 'Aplikacija predugo odgovara',
        advice: 'Odgovor nije stigao na vrijeme. Pokušajte ponovno za minutu.',
      },
      505: { title: 'Verzija HTTP-a nije podržana', advice: 'Upotrijebite noviji preglednik ili program.' },
    },
  },
} satisfies Messages;

/** Counts and durations as a language inflects them, on top of the runtime's own plural and relative-time rules. */

export type PluralForms = Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }>;

/** `#` in a form stands for the count, written with the language's own grouping. */
export function createPlural(language: string, forms: PluralForms): (count: number) => string {
  const rules = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  return (count) => (forms[rules.select(count)] ?? forms.other).replace('#', numbers.format(count));
}

/** "in 40 seconds", "in 5 minutes": up to a minute and a half in seconds, then in minutes rounded up. */
export function createDelay(language: string): (seconds: number) => string {
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'always' });
  return (seconds) => {
    // Never "in 0 seconds": the client would try at once and be refused again.
    const whole = Math.max(1, Math.ceil(seconds));
    return whole <= 90 ? relative.format(whole, 'second') : relative.format(Math.ceil(whole / 60), 'minute');
  };
}

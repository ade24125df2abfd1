/** Moments as directories write them, each as milliseconds since 1970. */

/** GeneralizedTime (RFC 4517 section 3.3.13) with seconds or minutes, in UTC. */
export function parseGeneralizedTime(text: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d+)?Z$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second = '0'] = match.map(String);
  return Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    second === 'undefined' ? 0 : Number(second),
  );
}

const fileTimeOf1970 = 116_444_736_000_000_000n;

/** Units of 100 ns since 1601 (MS-DTYP section 2.3.3). `undefined`: none, or "never", which is 0 or the largest number. */
export function parseFileTime(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text);
  if (value <= 0n || value === 0x7fff_ffff_ffff_ffffn) return undefined;
  return Number((value - fileTimeOf1970) / 10_000n);
}

/** Whole days since 1970 (shadow(5)). `undefined`: none, or a number that means "never" there. */
export function parseShadowDays(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,7}$/.test(text)) return undefined;
  const days = Number(text);
  return days === 0 ? undefined : days * 86_400_000;
}

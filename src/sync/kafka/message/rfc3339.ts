/**
 * A point in time as text, `2026-02-28T23:59:59.999Z`: RFC 3339 in UTC with milliseconds, as
 * CloudEvents want it. Days become a date by Howard Hinnant's `civil_from_days` ("chrono-compatible
 * low-level date algorithms"): years begin in March, so that a leap day is the last of its year, and
 * all is integer arithmetic in eras of 400 years.
 */

const dayMs = 86_400_000;
/** 1 March of the year 0, in days since 1970. */
const firstMarch = -719_468;
/** Days of 400, 100 and 4 years. */
const eraDays = 146_097;
const centuryDays = 36_524;
const leapDays = 1_460;

/** RFC 3339 has four digits for the year: [0000-01-01, 10000-01-01). */
const timeMsMin = -62_167_219_200_000;
const timeMsEnd = 253_402_300_800_000;

export const rfc3339Bytes = 24;

/**
 * The text of a time in ms since 1970 as ASCII, a new buffer; fractions of a millisecond are cut off,
 * towards the past. Undefined for a time that RFC 3339 cannot write.
 */
export function rfc3339(timeMs: number): Uint8Array | undefined {
  if (!(timeMs >= timeMsMin && timeMs < timeMsEnd)) return undefined;
  const wholeMs = Math.floor(timeMs);
  const days = Math.floor(wholeMs / dayMs);
  const text = new Uint8Array(rfc3339Bytes);
  writeDate(text, days);
  writeTimeOfDay(text, wholeMs - days * dayMs);
  return text;
}

function writeDate(text: Uint8Array, days: number): void {
  const sinceFirst = days - firstMarch;
  const era = Math.floor(sinceFirst / eraDays);
  const dayOfEra = sinceFirst - era * eraDays;
  const leapYearsGone =
    Math.floor(dayOfEra / leapDays) -
    Math.floor(dayOfEra / centuryDays) +
    Math.floor(dayOfEra / (eraDays - 1));
  const yearOfEra = Math.floor((dayOfEra - leapYearsGone) / 365);
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  // Five months from March on have 153 days, and so have the next five.
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  writeDigits(text, 0, 4, year);
  text[4] = 0x2d; // -
  writeDigits(text, 5, 2, month);
  text[7] = 0x2d;
  writeDigits(text, 8, 2, day);
}

function writeTimeOfDay(text: Uint8Array, ms: number): void {
  text[10] = 0x54; // T
  writeDigits(text, 11, 2, Math.floor(ms / 3_600_000));
  text[13] = 0x3a; // :
  writeDigits(text, 14, 2, Math.floor(ms / 60_000) % 60);
  text[16] = 0x3a;
  writeDigits(text, 17, 2, Math.floor(ms / 1_000) % 60);
  text[19] = 0x2e; // .
  writeDigits(text, 20, 3, ms % 1_000);
  text[23] = 0x5a; // Z
}

function writeDigits(text: Uint8Array, offset: number, count: number, value: number): void {
  let rest = value;
  for (let i = offset + count - 1; i >= offset; i--) {
    text[i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

/**
 * The time of a device, from whatever it sends, to milliseconds since 1970.
 *
 * Numbers are told apart by magnitude, each unit from 1973 to the year 5138:
 *
 *   |t| < 1e11  seconds (fractions allowed)      < 1e17  microseconds
 *       < 1e14  milliseconds                     else    nanoseconds
 *
 * Seconds are rounded to microseconds, so that 1788945292.88 is the instant written and not its
 * neighbour in binary. Text is RFC 3339 / ISO 8601 with a zone. Days by the civil calendar formula
 * of Howard Hinnant ("chrono-compatible low-level date algorithms").
 */

/** The largest time that is believed, in both directions: what a Date can hold. */
export const MILLIS_MAX = 8.64e15;

/** Milliseconds, or NaN for what is no time. */
export function millisOfNumber(time: number): number {
  const size = Math.abs(time);
  let millis = time / 1e6;
  if (size < 1e11) millis = Math.round(time * 1e6) / 1e3;
  else if (size < 1e14) millis = time;
  else if (size < 1e17) millis = time / 1e3;
  // Adding zero keeps -0 out of the time column.
  return Math.abs(millis) <= MILLIS_MAX ? millis + 0 : Number.NaN;
}

/**
 * Milliseconds of the ASCII text in `bytes[start, end)`, or NaN for what is no time, or has no zone
 * while `zonelessIsUtc` is false. `2024-05-01T12:30:15.250+02:00`; a blank for the T, no seconds,
 * and zones `Z`, `+02`, `+0200` are understood too.
 */
export function millisOfText(
  bytes: Uint8Array,
  start: number,
  end: number,
  zonelessIsUtc: boolean,
): number {
  const scanner = new TimeText(bytes, start, end);
  const days = scanner.date();
  const seconds = scanner.timeOfDay();
  const zoneMinutes = scanner.zone(zonelessIsUtc);
  const minutes = days * 1_440 - zoneMinutes;
  const micros = minutes * 60_000_000 + Math.round(seconds * 1e6);
  // Divided once, it is what `millisOfNumber` makes of the same instant. From 2255 on that is no whole number.
  const millis = Number.isSafeInteger(micros)
    ? micros / 1e3
    : minutes * 60_000 + Math.round(seconds * 1e6) / 1e3;
  return scanner.atEnd && Math.abs(millis) <= MILLIS_MAX ? millis : Number.NaN;
}

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar. */
export function daysOfDate(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** Reads left to right; every part is NaN once something did not fit. */
class TimeText {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  date(): number {
    const year = this.#digits(4);
    const month = this.#after(DASH, 2);
    const day = this.#after(DASH, 2);
    if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) {
      return Number.NaN;
    }
    return daysOfDate(year, month, day);
  }

  /** Seconds since midnight. A leap second (:60) is the first second of the next minute. */
  timeOfDay(): number {
    const separator = this.#next();
    if (separator !== 0x54 && separator !== 0x74 && separator !== 0x20) return Number.NaN;
    const hours = this.#digits(2);
    const minutes = this.#after(COLON, 2);
    let seconds = 0;
    if (this.#peek() === COLON) seconds = this.#after(COLON, 2) + this.#fraction();
    const fits = hours <= 23 && minutes <= 59 && seconds < 61;
    return fits ? hours * 3600 + minutes * 60 + seconds : Number.NaN;
  }

  /** Minutes east of UTC. */
  zone(zonelessIsUtc: boolean): number {
    if (this.atEnd) return zonelessIsUtc ? 0 : Number.NaN;
    const sign = this.#next();
    if (sign === 0x5a || sign === 0x7a) return 0;
    if (sign !== DASH && sign !== PLUS) return Number.NaN;
    const hours = this.#digits(2);
    let minutes = 0;
    if (this.#peek() === COLON) minutes = this.#after(COLON, 2);
    else if (!this.atEnd) minutes = this.#digits(2);
    if (!(hours <= 23 && minutes <= 59)) return Number.NaN;
    return (sign === DASH ? -1 : 1) * (hours * 60 + minutes);
  }

  /** Seconds below the point, to the microsecond; 0 without a point. */
  #fraction(): number {
    if (this.#peek() !== 0x2e && this.#peek() !== 0x2c) return 0;
    this.#at++;
    let micros = 0;
    let digits = 0;
    for (; isDigit(this.#peek()); digits++) {
      const digit = this.#next() - 0x30;
      if (digits < 6) micros += digit * 10 ** (5 - digits);
    }
    return digits === 0 ? Number.NaN : micros / 1e6;
  }

  #after(separator: number, count: number): number {
    return this.#next() === separator ? this.#digits(count) : Number.NaN;
  }

  #digits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const digit = this.#next();
      if (!isDigit(digit)) return Number.NaN;
      value = value * 10 + digit - 0x30;
    }
    return value;
  }

  #peek(): number {
    return this.#at < this.#end ? this.#bytes[this.#at]! : -1;
  }

  #next(): number {
    return this.#at < this.#end ? this.#bytes[this.#at++]! : -1;
  }
}

const DASH = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function daysInMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

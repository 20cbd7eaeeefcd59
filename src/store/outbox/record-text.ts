/** Texts and numbers as records have them. */

/** Percent-encoding, with the characters that names of tags are made of left readable. */
export function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /%(3D|2C|3A|40)/g,
    (code) => readable[code] ?? code,
  );
}

const readable: Readonly<Record<string, string>> = {
  "%3D": "=",
  "%2C": ",",
  "%3A": ":",
  "%40": "@",
};

/** As JSON: `-0` for -0, a string for what JSON has no number for. */
export function jsonNumber(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? "-0" : `${value}`;
}

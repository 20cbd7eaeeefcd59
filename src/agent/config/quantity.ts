/**
 * Durations and byte sizes as a configuration writes them: a number and its unit, with nothing or
 * one fraction, `1.5h`, `64MiB`. A number without a unit is none of them.
 */

/** ms per unit, largest first. */
const durationUnits = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** Bytes per unit; KiB counts in 1024, kB in 1000. */
const byteUnits = {
  GiB: 1_073_741_824,
  MiB: 1_048_576,
  KiB: 1_024,
  GB: 1_000_000_000,
  MB: 1_000_000,
  kB: 1_000,
  B: 1,
} as const;

export const durationPattern: RegExp = /^\d{1,15}(\.\d{1,6})?(ms|s|m|h|d)$/;
export const bytesPattern: RegExp = /^\d{1,15}(\.\d{1,6})?(B|KiB|MiB|GiB|kB|MB|GB)$/;

/** `text` matches durationPattern; whole ms. */
export function millisOf(text: string): number {
  return Math.round(amountOf(text, durationUnits));
}

/** `text` matches bytesPattern; whole bytes. */
export function bytesOf(text: string): number {
  return Math.round(amountOf(text, byteUnits));
}

/** The largest unit that leaves a whole number: 90000 is `90s`. Back through millisOf it is the same. */
export function durationText(wholeMs: number): string {
  for (const [unit, size] of Object.entries(durationUnits)) {
    if (wholeMs !== 0 && wholeMs % size === 0) return `${wholeMs / size}${unit}`;
  }
  return `${wholeMs}ms`;
}

/** The same for bytes, in units of 1024: 1536 is `1536B`, 65536 is `64KiB`. */
export function bytesText(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"] as const) {
    if (bytes !== 0 && bytes % byteUnits[unit] === 0) return `${bytes / byteUnits[unit]}${unit}`;
  }
  return `${bytes}B`;
}

/** For people: two digits of precision in the unit that fits, `1.3 MiB`. */
export function roughBytesText(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"] as const) {
    const amount = bytes / byteUnits[unit];
    if (amount >= 1) return `${amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
  }
  return `${Math.round(bytes)} B`;
}

function amountOf(text: string, units: Readonly<Record<string, number>>): number {
  const number = Number.parseFloat(text);
  const unit = text.replace(/^[\d.]+/, "");
  return number * (units[unit] ?? Number.NaN);
}

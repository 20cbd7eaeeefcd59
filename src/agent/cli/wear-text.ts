/** `weir store wear`: how long the card lasts at the rate that was measured. */

import { bytesPerDay, type Wear } from "../../store/care/wear.ts";
import { UsageError } from "./command.ts";

export type Forecast = {
  readonly device: string;
  readonly totalBytes: number;
  readonly days: Wear["days"];
  readonly bytesPerDay: number | undefined;
  readonly enduranceBytes: number | undefined;
  /** From now on, what was written since the first look taken off. */
  readonly yearsLeft: number | undefined;
};

const DAYS_PER_YEAR = 365.25;
const units = { TB: 1e12, GB: 1e9, TiB: 2 ** 40, GiB: 2 ** 30 } as const;

/** "117TB" as bytes. */
export function enduranceOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(TB|GB|TiB|GiB)$/.exec(text) ?? [];
  for (const [name, bytes] of Object.entries(units)) {
    if (name === unit && Number(number) > 0) return Number(number) * bytes;
  }
  throw new UsageError(
    `--endurance is what the maker says can be written, as 117TB, not ${JSON.stringify(text)}`,
  );
}

export function forecastOf(wear: Wear, enduranceBytes: number | undefined): Forecast {
  const { device, totalBytes, days } = wear;
  const rate = bytesPerDay(wear);
  const left = enduranceBytes === undefined ? undefined : Math.max(0, enduranceBytes - totalBytes);
  const yearsLeft =
    left === undefined || rate === undefined || rate === 0
      ? undefined
      : left / rate / DAYS_PER_YEAR;
  return { device, totalBytes, days, bytesPerDay: rate, enduranceBytes, yearsLeft };
}

export function forecastText({
  device,
  totalBytes,
  bytesPerDay: rate,
  yearsLeft,
}: Forecast): string {
  return [
    `${device}: ${gigabytes(totalBytes)} were written since weir looks, by all programs`,
    rate === undefined
      ? "how much it is in a day is known after a day of looking"
      : `${gigabytes(rate)} a day`,
    ...(yearsLeft === undefined ? [] : [`${yearsLeft.toFixed(1)} years left at this rate`]),
  ].join("\n");
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(3)} GB`;
}

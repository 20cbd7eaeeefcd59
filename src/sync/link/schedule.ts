/**
 * Times of the day at which a link may be used, by the wall clock of its timezone. A window that ends
 * before it begins goes over midnight and belongs to the day on which it begins. Where the clock is
 * put forward or back a window is as long as the wall clock says it is.
 *
 *   from 22:00 to 06:00 on Fri   [Fri 22:00, Sat 06:00)
 */

import type { LocalTime } from "./local-time.ts";

export type LocalWindow = {
  /** Minutes of the day; `to` up to 1440. Both the same: the whole day. */
  readonly from: number;
  readonly to: number;
  /** Days on which it begins, 0 is Monday. */
  readonly days: readonly number[];
};

export function isInWindows(windows: readonly LocalWindow[], at: LocalTime): boolean {
  return windows.length === 0 || windows.some((window) => isIn(window, at));
}

function isIn({ from, to, days }: LocalWindow, { weekday, minute }: LocalTime): boolean {
  const isToday = days.includes(weekday);
  if (from < to) return isToday && minute >= from && minute < to;
  return (isToday && minute >= from) || (days.includes((weekday + 6) % 7) && minute < to);
}

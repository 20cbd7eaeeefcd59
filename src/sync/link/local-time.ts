/** Wall clock in a timezone, by the zones that come with Node. */

export type LocalTime = {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  /** 0 is Monday. */
  readonly weekday: number;
  /** Of the day. */
  readonly minute: number;
};

const weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const formats = new Map<string, Intl.DateTimeFormat>();

/** Some microseconds. `timezone` is one that is known (isTimezone). */
export function localTime(nowMs: number, timezone: string): LocalTime {
  const parts = new Map<string, string>();
  for (const { type, value } of formatOf(timezone).formatToParts(nowMs)) parts.set(type, value);
  const number = (type: string): number => Number(parts.get(type));
  return {
    year: number("year"),
    month: number("month"),
    day: number("day"),
    weekday: weekdays.indexOf(parts.get("weekday") ?? ""),
    minute: number("hour") * 60 + number("minute"),
  };
}

export function isTimezone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    weekday: "short",
    hour: "numeric",
    minute: "numeric",
  });
  formats.set(timezone, format);
  return format;
}

/** Which uplinks are paused, in an answer of /v1/link, and until when. */

export type ShownPause = {
  readonly uplink: string;
  /** As 14:05 today, 2026-12-01 14:05 on other days, in the time zone of Node-RED; undefined: until resumed. */
  readonly until: string | undefined;
};

/** `now`: ms since 1970. */
export function pausesIn(view: unknown, now: number): readonly ShownPause[] {
  return listIn(view, "uplinks").flatMap((uplink) => {
    const paused = fieldOf(uplink, "paused");
    if (typeof paused !== "object" || paused === null) return [];
    // By the agent's clock; where that is not trusted only how long it lasts is known.
    const until = fieldOf(paused, "until");
    const leftMs = fieldOf(paused, "leftMs");
    const end =
      typeof until === "number" ? until : typeof leftMs === "number" ? now + leftMs : undefined;
    const text = end === undefined ? undefined : timeText(end, now);
    return [{ uplink: String(fieldOf(uplink, "name")), until: text }];
  });
}

function timeText(ms: number, now: number): string {
  const end = new Date(ms);
  const time = [end.getHours(), end.getMinutes()].map(twoDigits).join(":");
  const day = dayText(end);
  return day === dayText(new Date(now)) ? time : `${day} ${time}`;
}

function dayText(date: Date): string {
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join("-");
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}

function listIn(object: unknown, name: string): readonly unknown[] {
  const list = fieldOf(object, name);
  return Array.isArray(list) ? list : [];
}

function fieldOf(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...object };
  return fields[name];
}

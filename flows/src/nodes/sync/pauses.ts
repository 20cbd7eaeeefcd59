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
  // The Swedish form is the one of ISO 8601, in local time.
  const [text, today] = [ms, now].map((each) => new Date(each).toLocaleString("sv-SE"));
  if (text === undefined || today === undefined) return "";
  return text.slice(0, 10) === today.slice(0, 10) ? text.slice(11, 16) : text.slice(0, 16);
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

/** What the doctor found: one sentence about one place, and what to do. */

export type Level = "ok" | "advice" | "fault";

export type Finding = {
  /** What part of the machine or the configuration it is about: "clock", "disk", ... */
  readonly area: string;
  /** ok: nothing to do; advice: it works, and could be better; fault: it does not work, or not for long. */
  readonly level: Level;
  /** A path, an address, a setting. */
  readonly place: string;
  /** In lower case, without a full stop. */
  readonly found: string;
  /** What to do; absent where all is well. */
  readonly remedy?: string;
  /** What was measured, by name with its unit. */
  readonly figures?: Readonly<Record<string, number>>;
};

type About = Pick<Finding, "area" | "place">;

export function ok(about: About, found: string, figures?: Finding["figures"]): Finding {
  return { ...about, level: "ok", found, ...(figures === undefined ? {} : { figures }) };
}

export function advice(
  about: About,
  found: string,
  remedy: string,
  figures?: Finding["figures"],
): Finding {
  return {
    ...about,
    level: "advice",
    found,
    remedy,
    ...(figures === undefined ? {} : { figures }),
  };
}

export function fault(
  about: About,
  found: string,
  remedy: string,
  figures?: Finding["figures"],
): Finding {
  return { ...about, level: "fault", found, remedy, ...(figures === undefined ? {} : { figures }) };
}

/**
 * What a user says about a source: which topics, how payloads are coded, which fields are time and
 * sequence. `rulesOf` turns it into the form the decoders ask, by field path.
 */

export type PayloadFormat = "json" | "cbor" | "number";

export type SourceConfig = {
  readonly name: string;
  /** The external broker whose messages it takes; without it those of our own. */
  readonly broker?: string;
  /** Topic templates: literal levels, `{tag}` levels, `{metric}`, `+` (any level), a last `#`. */
  readonly topics: readonly string[];
  /** `auto` tells the format of each payload by its first byte. */
  readonly format: "auto" | PayloadFormat;
  /** Paths of fields that may hold the device's time (`ts`, `params.ts`); the first present wins. */
  readonly time: readonly string[];
  /** Whether a message without device time is refused; else its readings take arrival time. */
  readonly timeRequired: boolean;
  /** Times without a zone are UTC; without this they are refused, for nobody knows when they were. */
  readonly timezone?: "utc";
  /** Paths of fields that may hold the device's sequence number; the first present wins. */
  readonly sequence: readonly string[];
  /** Paths of fields that are not readings, with everything below them. */
  readonly ignore: readonly string[];
  /** The field that carries the value where the topic names the metric. */
  readonly value: string;
};

/** What a source is unless its configuration says otherwise; name and topics have no default. */
export const sourceDefaults: Omit<SourceConfig, "name" | "broker" | "topics" | "timezone"> = {
  format: "auto",
  time: ["ts", "time", "timestamp"],
  timeRequired: false,
  sequence: ["seq"],
  ignore: [],
  value: "value",
};

/** What a field is other than a reading. `rank`: its place among its like, the lowest present wins. */
export type Role =
  | { readonly kind: "time"; readonly rank: number }
  | { readonly kind: "sequence"; readonly rank: number }
  | { readonly kind: "ignored" };

export type SourceRules = {
  readonly format: "auto" | PayloadFormat;
  /** By path; a path that is not in it is a reading. */
  readonly roles: ReadonlyMap<string, Role>;
  readonly timeRequired: boolean;
  readonly zonelessIsUtc: boolean;
  readonly value: string;
};

export function rulesOf(config: SourceConfig): SourceRules {
  const roles = new Map<string, Role>();
  for (const path of config.ignore) roles.set(path, { kind: "ignored" });
  for (const [rank, path] of config.sequence.entries()) roles.set(path, { kind: "sequence", rank });
  for (const [rank, path] of config.time.entries()) roles.set(path, { kind: "time", rank });
  return {
    format: config.format,
    roles,
    timeRequired: config.timeRequired,
    zonelessIsUtc: config.timezone === "utc",
    value: config.value,
  };
}

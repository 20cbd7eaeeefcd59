import type { CommandCounters } from "./command-reader.ts";
import type { RawCounters } from "./raw-answers.ts";

/** What became of requests for raw readings. */
export type RawSideCounters = RawCounters & {
  /** Absent where none are taken from a topic. */
  readonly commands?: CommandCounters;
};

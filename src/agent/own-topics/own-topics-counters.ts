import type { HomeAssistantCounters } from "../home-assistant/home-assistant.ts";

/** What became of the records and statuses for the agent's own topics. */
export type OwnTopicsCounters = {
  readonly summaries: number;
  readonly alerts: number;
  readonly statuses: number;
  /** Not published: so much waited already. */
  readonly dropped: number;
  /** Now. */
  readonly waitingBytes: number;
  /** Absent where it is not told. */
  readonly homeAssistant?: HomeAssistantCounters;
};

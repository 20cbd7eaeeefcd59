/** What a person should know of requests for raw readings; see notices.ts. */

import { limits } from "../../core/limits.ts";
import type { Notice } from "./notice.ts";
import type { Status } from "../status.ts";
import { counted } from "../../core/counted.ts";

export function rawNotices({ trouble, unasked, commands }: Status["raw"]): readonly Notice[] {
  const notices: Notice[] = [];
  const add = (code: string, message: string): void => {
    notices.push({ code, message });
  };
  if (trouble !== undefined) {
    add("raw_trouble", `raw readings that were asked for cannot be read now: ${trouble}`);
  }
  if (unasked > 0) {
    add(
      "raw_unasked",
      `${counted(unasked, "alert")} since the start asked for no raw readings: ${limits.rawAlertRequestsMax} requests of alerts are open at most, and ${limits.rawAlertsPerWindow} made in an hour; ask for them by hand (weir raw ask), or let fewer pipelines ask`,
    );
  }
  if (commands === undefined) return notices;
  const { topic, state, refused, unreadable, gone, lastRefused = "" } = commands;
  if (commands.trouble !== undefined) {
    add(
      "commands_trouble",
      `commands cannot be read, and what is sent goes on: ${commands.trouble}; it is tried again`,
    );
  }
  if (state === "full") {
    add(
      "commands_full",
      `commands in ${topic} wait: one is to be refused, and the answer finds no room behind raw readings that wait for the uplinks`,
    );
  }
  if (refused + unreadable > 0) {
    add(
      "commands_refused",
      `${counted(refused, "command")} refused and ${unreadable} unreadable since the start, the last ${lastRefused}: correct who sends them, and send them again with another id`,
    );
  }
  if (gone > 0) {
    add(
      "commands_gone",
      `${counted(gone, "record")} of ${topic} expired before this agent read them, commands perhaps among them: ask again, and keep them longer there (retention.ms) than the gateway may be away`,
    );
  }
  return notices;
}

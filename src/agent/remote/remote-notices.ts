/** What a person should know of configuration from afar; see notices/notices.ts. */

import { counted } from "../../core/counted.ts";
import type { Notice } from "../notices/notice.ts";
import type { Status } from "../status.ts";

export function remoteNotices(remote: Status["remote"]): readonly Notice[] {
  if (remote === undefined) return [];
  const { channels, trouble, counters, audit, trial, inForce, unused } = remote;
  const notices: Notice[] = [];
  const add = (code: string, message: string): void => {
    notices.push({ code, message });
  };
  for (const { kind, topic, trouble: why } of channels) {
    if (why === undefined) continue;
    add(
      `remote_away_${kind}`,
      `configurations cannot be read from ${topic}: ${why}; the one in force stays, and it is tried again`,
    );
  }
  if (trouble !== undefined) add("remote_trouble", trouble);
  if (unused !== undefined) {
    add(
      "remote_unused",
      `remote configuration ${unused.version ?? unused.digest} is not used, and the local file stands alone: ${unused.reason}; put that right and start again, or send one that this agent can use`,
    );
  }
  if (trial !== undefined) {
    const about = `start ${trial.tries} of ${trial.triesMax}`;
    add("remote_trial", `remote configuration ${inForce?.version ?? 0} is on trial (${about})`);
  }
  const refusals = Object.values(counters.refused).reduce((sum, count) => sum + count, 0);
  const last = audit.findLast(({ kind }) => kind === "refused");
  if (refusals > 0) {
    add(
      "remote_refused",
      `${counted(refusals, "remote configuration")} refused since the start, the last (${last?.code ?? ""}) because ${last?.reason ?? "it is among those before"}: weir remote status lists them`,
    );
  }
  const back = audit.at(-1);
  if (back?.kind === "rolled_back") {
    add(
      "remote_rolled_back",
      `remote configuration ${back.version ?? 0} was rolled back (${back.reason ?? back.code ?? ""}): correct it, and sign it under a higher version`,
    );
  }
  return notices;
}

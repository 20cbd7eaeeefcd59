/** What a scenario has shown, in lines for a person. */

import { countedInGroups } from "../../../core/counted.ts";
import { provenText } from "../verify-text.ts";
import type { Played } from "./play.ts";
import type { Scenario } from "./scenario-file.ts";
import type { ScenarioVerdict } from "./verdict.ts";

const digits = new Intl.NumberFormat("en-US");

type Shown = Pick<Played, "counts" | "link" | "devices" | "ledger" | "seconds" | "drainSeconds"> & {
  readonly truth: Pick<Played["truth"], "totals" | "acknowledged" | "pending">;
};

export function scenarioText(
  { seed }: Pick<Scenario, "seed">,
  played: Shown,
  verdict: ScenarioVerdict | undefined,
): string {
  const { counts, link, devices, truth, ledger, seconds, drainSeconds } = played;
  const { totals, acknowledged, pending } = truth;
  const sum = (of: "accepted" | "duplicate"): number =>
    (ledger?.sources ?? []).reduce((all, { readings }) => all + readings[of], 0);
  const rows: readonly (readonly [string, string])[] = [
    [
      "played",
      `seed ${seed}, ${seconds.toFixed(0)} s, then ${drainSeconds.toFixed(1)} s until all was upstream`,
    ],
    [
      "what happened",
      `${countedInGroups(counts.steps, "step")}: agent killed ${counts.kills}, stopped ${counts.stops}, held ${countedInGroups(counts.hangs, "time")}; ${countedInGroups(counts.cuts, "cut")}; disk filled ${countedInGroups(counts.fills, "time")}; ${countedInGroups(counts.commands, "command")}`,
    ],
    ["link", networkText(link)],
    ["devices", networkText(devices)],
    [
      "sent",
      `${countedInGroups(totals.messages, "message")} (${n(totals.duplicates)} a second time); ${n(totals.acked)} of ${n(totals.qos1)} acknowledged, ${n(totals.dropped)} never sent`,
    ],
    [
      "held to it",
      `${countedInGroups(acknowledged, "acknowledged reading")}, ${n(pending)} that may be there or not`,
    ],
    [
      "ledger",
      ledger === undefined
        ? "none"
        : `${n(sum("accepted"))} accepted, ${countedInGroups(sum("duplicate"), "duplicate")} recognised, ${ledger.balanced ? "balances" : "does not balance"}`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
  return [...lines, ...verdictLines(verdict)].join("\n");
}

function verdictLines(verdict: ScenarioVerdict | undefined): readonly string[] {
  if (verdict === undefined) return [];
  const { proven, compared, first } = verdict;
  return [
    "",
    ...(proven === undefined ? [] : [provenText(proven)]),
    ...compared.map(
      ({ pipeline, windows, readings, missing, others }) =>
        `pipeline ${pipeline}: ${countedInGroups(windows, "window")} with ${countedInGroups(readings, "reading")} compared with what devices sent, ${countedInGroups(missing, "reading")} in none${others === 0 ? "" : `; ${countedInGroups(others, "window")} of devices that are held to nothing`}`,
    ),
    first === undefined ? "verified: missing 0, repeated 0" : "not verified",
  ];
}

function networkText({ connections, cut, bytesUp, bytesDown }: Played["link"]): string {
  return `${countedInGroups(connections, "connection")}, ${n(cut)} of them cut; ${countedInGroups(bytesUp, "byte")} up, ${n(bytesDown)} down`;
}

function n(count: number): string {
  return digits.format(count);
}

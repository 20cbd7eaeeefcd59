/** What a scenario has shown, in lines for a person. */

import { provenText } from "../verify-text.ts";
import type { Played } from "./play.ts";
import type { Scenario } from "./scenario-file.ts";
import type { ScenarioVerdict } from "./verdict.ts";

const digits = new Intl.NumberFormat("en-US");

export function scenarioText(
  { seed }: Scenario,
  played: Played,
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
      `${counts.steps} steps: agent killed ${counts.kills}, stopped ${counts.stops}, held ${counts.hangs} times; ${counts.cuts} cuts; disk filled ${counts.fills} times; ${counts.commands} commands`,
    ],
    ["link", networkText(link)],
    ["devices", networkText(devices)],
    [
      "sent",
      `${n(totals.messages)} messages (${n(totals.duplicates)} copies); ${n(totals.acked)} of ${n(totals.qos1)} acknowledged, ${n(totals.dropped)} never sent`,
    ],
    [
      "held to it",
      `${n(acknowledged)} acknowledged readings, ${n(pending)} that may be there or not`,
    ],
    [
      "ledger",
      ledger === undefined
        ? "none"
        : `${n(sum("accepted"))} accepted, ${n(sum("duplicate"))} duplicates recognised, ${ledger.balanced ? "balances" : "does not balance"}`,
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
        `pipeline ${pipeline}: ${n(windows)} windows with ${n(readings)} readings compared with what devices sent, ${n(missing)} readings in none${others === 0 ? "" : `; ${n(others)} windows of devices that are held to nothing`}`,
    ),
    first === undefined ? "verified: missing 0, repeated 0" : "not verified",
  ];
}

function networkText({ connections, cut, bytesUp, bytesDown }: Played["link"]): string {
  return `${n(connections)} connections, ${n(cut)} of them cut; ${n(bytesUp)} bytes up, ${n(bytesDown)} down`;
}

function n(count: number): string {
  return digits.format(count);
}

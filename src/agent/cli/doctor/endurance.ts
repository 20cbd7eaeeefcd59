/**
 * How long the medium lasts: what an agent with this data saw written a day, the cap that is
 * configured, and what an eMMC says of its own life (JEDEC JESD84-B51, DEVICE_LIFE_TIME_EST and
 * PRE_EOL_INFO).
 */

import { bytesPerDay, type Wear } from "../../../store/care/wear.ts";
import type { CommitConfig } from "../../config/config.ts";
import { roughBytesText } from "../../config/quantity.ts";
import { forecastOf } from "../wear-text.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";
import type { Machine } from "./machine.ts";

const area = "endurance";

export type EnduranceOptions = {
  readonly machine: Machine;
  /** The block device of the data directory, such as mmcblk0; undefined where there is none. */
  readonly device: string | undefined;
  readonly wear: Wear | undefined;
  /** store.writesPerDay */
  readonly capBytes: number | undefined;
  /** What the maker says can be written to it. */
  readonly enduranceBytes: number | undefined;
  readonly commit: Pick<CommitConfig, "waitMs" | "intervalMs">;
  /** As the disk was measured. */
  readonly bytesPerSync: number | undefined;
};

const DAY_MS = 86_400_000;
const yearsMin = 3;

export async function enduranceFindings(options: EnduranceOptions): Promise<readonly Finding[]> {
  return [rateFinding(options), ...(await lifeFindings(options))];
}

function rateFinding(options: EnduranceOptions): Finding {
  const { wear, capBytes, enduranceBytes, device } = options;
  const about = { area, place: device ?? "data directory" };
  const measured = wear === undefined ? undefined : bytesPerDay(wear);
  const syncs = bytesOfSyncs(options);
  const perDay = measured ?? capBytes ?? syncs;
  if (perDay === undefined) {
    return ok(about, "how much is written a day is known after the agent has run for a day");
  }
  const rate = rateText({ measured, capBytes, perDay });
  const figures = { bytesPerDay: Math.round(perDay) };
  if (measured !== undefined && capBytes !== undefined && measured > capBytes) {
    return advice(
      about,
      `${rate}, more than store.writesPerDay`,
      "see what else writes to it, take fewer readings, or let commit.waitMax be longer",
      figures,
    );
  }
  const years = yearsOf(wear, enduranceBytes, perDay);
  if (years === undefined) return ok(about, rate, figures);
  const said = `${rate}: ${boundOf(options, measured)}${years.toFixed(1)} years are left`;
  return years < yearsMin
    ? advice(
        about,
        said,
        "cap what is written (store.writesPerDay), or use a card for more",
        figures,
      )
    : ok(about, said, figures);
}

/** A cap is the most that is written, syncs are the least. */
function boundOf({ capBytes }: EnduranceOptions, measured: number | undefined): string {
  if (measured !== undefined) return "";
  return capBytes === undefined ? "at most " : "at least ";
}

function rateText({
  measured,
  capBytes,
  perDay,
}: {
  readonly measured: number | undefined;
  readonly capBytes: number | undefined;
  readonly perDay: number;
}): string {
  const size = roughBytesText(perDay);
  if (measured !== undefined) return `${size} are written a day, by all programs`;
  if (capBytes !== undefined) return `at most ${size} are written a day (store.writesPerDay)`;
  return `readings that come all day cost at least ${size} a day in syncs, beside their own bytes; what it really is, is known after a day`;
}

/**
 * A sync of the log each time readings have waited, two of each commit, a page each: the least that a day
 * costs in which readings never pause. Undefined where they do not wait for one another.
 */
function bytesOfSyncs({ commit, bytesPerSync }: EnduranceOptions): number | undefined {
  const { waitMs, intervalMs } = commit;
  if (bytesPerSync === undefined || waitMs === 0) return undefined;
  return (DAY_MS / waitMs + (2 * DAY_MS) / intervalMs) * bytesPerSync;
}

function yearsOf(
  wear: Wear | undefined,
  enduranceBytes: number | undefined,
  perDay: number,
): number | undefined {
  if (enduranceBytes === undefined || perDay === 0) return undefined;
  const forecast = wear === undefined ? undefined : forecastOf(wear, enduranceBytes).yearsLeft;
  return forecast ?? enduranceBytes / perDay / 365.25;
}

async function lifeFindings({ machine, device }: EnduranceOptions): Promise<readonly Finding[]> {
  if (device === undefined) return [];
  const about = { area, place: device };
  const folder = `sys/block/${device}/device`;
  const life = (await machine.text(`${folder}/life_time`))?.trim().split(/\s+/) ?? [];
  // 1: up to 10 % used, 2: up to 20 %, ... 10: up to 100 %, 11: more than it was made for. 0: not said.
  const used = Math.max(0, ...life.map(Number).filter(Number.isInteger));
  const reserve = Number((await machine.text(`${folder}/pre_eol_info`))?.trim() ?? "0");
  const remedy = "replace the card or board, and back up before (weir backup)";
  if (used >= 11 || reserve === 3) {
    return [fault(about, "it has used up the life it was made for, by its own account", remedy)];
  }
  if (used >= 9 || reserve === 2) {
    const share = used === 0 ? "most of its spare blocks" : `up to ${used * 10} % of its life`;
    return [advice(about, `it has used ${share}, by its own account`, remedy)];
  }
  return used === 0 ? [] : [ok(about, `it has used up to ${used * 10} % of its life`)];
}

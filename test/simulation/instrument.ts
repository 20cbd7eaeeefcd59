/**
 * Loaded before anything else (`node --import`) by every process that simulates: the marks, the
 * canary that WEIR_CANARY names, small limits, and globals that belong to the world.
 */

import { canaries } from "./canaries.ts";
import { markEdits } from "./marks.ts";
import { editSources, type SourceEdit } from "./source-edits.ts";
import { tameGlobals } from "./world/tamed-globals.ts";

const wanted = process.env["WEIR_CANARY"] ?? "";
const canary = canaries.find(({ name }) => name === wanted);
if (wanted !== "" && canary === undefined) throw new Error(`there is no canary ${wanted}`);

/** Bounds that no world would reach in its two minutes: name, what it is, what it becomes. */
const smallLimits: readonly SourceEdit[] = [
  ...madeSmall("src/core/limits.ts", [
    ["outboxBytesMax", "536_870_912", "24_576"],
    ["outboxBytesMin", "1_048_576", "1_024"],
    ["pendingOutputBytesMax", "16_777_216", "8_192"],
    ["heldBytesPerConnectionMax", "65_536", "512"],
    ["inFlightPerConnectionMax", "4_096", "8"],
    ["batchRowsMax", "32_768", "48"],
    ["shareMessagesMax", "8_192", "12"],
    ["turnMessagesMax", "256", "4"],
    ["readingsPerMessageMax", "1_024", "8"],
    ["linkQuotaStepBytesMin", "65_536", "1_024"],
    ["linkPieceBytesMax", "32_768", "256"],
    ["linkBatchBytesMin", "4_096", "512"],
  ]),
  ...madeSmall("src/core/http-limits.ts", [["postRowsPerFrameMax", "16_384", "24"]]),
  // Summaries are put behind soon, and in few pieces.
  ...madeSmall("src/core/lane-limits.ts", [
    ["freshForMs", "300_000", "6_000"],
    ["behindBlocksPerStep", "64", "3"],
    ["behindRangesMax", "256", "3"],
    ["backfillBatchBytesMax", "131_072", "2_048"],
    ["rawRecordReadingsMax", "1_000", "8"],
    ["rawCommitBytes", "131_072", "600"],
  ]),
  // Tables of few rows in several blocks and pieces; several partitions, merges and scattered rows.
  ...madeSmall("src/core/store-limits.ts", [
    ["tableBlockRowsMax", "1_024", "32"],
    ["tablePieceBytes", "262_144", "512"],
    ["tableSyncBytes", "4_194_304", "1_024"],
    ["refusedRunsMax", "32_768", "12"],
    ["partitionMs", "86_400_000", "15_000"],
    ["flushPartitionsMax", "8", "2"],
    ["mergeTablesMin", "16", "3"],
    ["mergeTablesMax", "16", "5"],
    ["tablesOpenMax", "128", "3"],
  ]),
];

function madeSmall(
  file: string,
  limits: readonly (readonly [name: string, usual: string, small: string])[],
): readonly SourceEdit[] {
  return limits.map(([name, usual, small]) => ({
    file,
    from: `  ${name}: ${usual},`,
    to: `  ${name}: ${small},`,
  }));
}

editSources([...smallLimits, ...(canary?.edits ?? []), ...markEdits]);
tameGlobals();

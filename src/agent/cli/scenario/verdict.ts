/**
 * What a scenario has shown. In the order in which it is looked for, so that the first finding is the
 * one nearest to the devices:
 *
 *   agent      it ended only when it was asked to, and its ledger balances
 *   ledger     it has accepted at least what was acknowledged, and shed nothing
 *   outbox     it is empty: all of it is upstream
 *   upstream   whole by itself, nothing twice, no gap
 *   windows    every acknowledged reading in one window, with the right sums
 */

import { counted } from "../../../core/counted.ts";
import type { LedgerView } from "../../../edge-ops/ledger.ts";
import type { Config } from "../../config/config.ts";
import type { AgentProven } from "../../../sync/kafka/upstream/verify-upstream.ts";
import { type Compared, compareWindows } from "./compare.ts";
import type { Truth } from "./truth.ts";
import type { UpstreamRead } from "./upstream.ts";
import type { WindowBook } from "./window-book.ts";

export type Evidence = {
  readonly config: Config;
  readonly truth: Truth;
  /** As the agent said when it ended; undefined where it did not. */
  readonly ledger: LedgerView | undefined;
  readonly upstream: UpstreamRead;
  readonly book: WindowBook;
  /** What went wrong while it was played, in its order. */
  readonly troubles: readonly string[];
};

export type ScenarioVerdict = {
  /** The first loss or repetition, as a sentence; undefined: there is none. */
  readonly first: string | undefined;
  readonly compared: readonly Compared[];
  readonly proven: AgentProven | undefined;
};

export function verdictOf(evidence: Evidence): ScenarioVerdict {
  const { config, truth, ledger, upstream, book, troubles } = evidence;
  const compared = comparable(config)
    .filter(({ sizeMs }) => sizeMs % truth.windowMs === 0)
    .map(({ name: pipeline, allowedLatenessMs }) =>
      compareWindows({
        pipeline,
        truth,
        found: book.windowsOf(pipeline),
        allowedLatenessMs,
        ...elsewhereOf(ledger, pipeline),
      }),
    );
  const first =
    troubles[0] ??
    ledgerProblem(ledger, truth) ??
    upstream.broken ??
    book.gap ??
    compared.find((of) => of.first !== undefined)?.first?.text ??
    (compared.length === 0 ? nothingCompared : undefined);
  return { first, compared, proven: upstream.proven };
}

const nothingCompared =
  "no pipeline could be compared with what devices sent: it takes a tumbling window with device and metric in its key, and no where";

/** What the truth is to be added up by: it divides the windows of all that can be compared. */
export function truthWindowMs(config: Config): number {
  const sizes = comparable(config).map(({ sizeMs }) => sizeMs);
  return sizes.length === 0 ? 10_000 : sizes.reduce(greatestDivisor);
}

type ComparablePipeline = {
  readonly name: string;
  readonly sizeMs: number;
  readonly allowedLatenessMs: number;
};

/** Tumbling windows of all readings by device and metric. */
function comparable(config: Config): readonly ComparablePipeline[] {
  return config.pipelines.flatMap((pipeline) => {
    if (pipeline.kind !== "window" || pipeline.window.kind !== "tumbling") return [];
    const { sources, metrics, tags } = pipeline.where;
    const takesAll = sources.length + metrics.length + Object.keys(tags).length === 0;
    const isByMetric = ["device", "metric"].every((tag) => pipeline.key.includes(tag));
    const { name, allowedLatenessMs, window } = pipeline;
    return takesAll && isByMetric ? [{ name, sizeMs: window.sizeMs, allowedLatenessMs }] : [];
  });
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Readings that the ledger accounts for without a window upstream. */
function elsewhereOf(
  ledger: LedgerView | undefined,
  pipeline: string,
): { readonly open: number; readonly late: number } {
  const row = ledger?.pipelines.find((of) => of.pipeline === pipeline);
  const quarantined = (ledger?.sources ?? []).reduce((sum, of) => sum + of.readings.quarantined, 0);
  return { open: row?.open ?? 0, late: (row?.late ?? 0) + quarantined };
}

function ledgerProblem(ledger: LedgerView | undefined, truth: Truth): string | undefined {
  if (ledger === undefined) return "the agent did not end in order: it said nothing of its ledger";
  if (!ledger.balanced) return "the agent's ledger does not balance: a reading is unaccounted for";
  const sum = (of: (row: LedgerView["sources"][number]) => number): number =>
    ledger.sources.reduce((all, row) => all + of(row), 0);
  const shed = sum(({ messages }) => messages.shed);
  if (shed > 0) return `the agent has shed ${counted(shed, "message")}`;
  const received = sum(({ readings: { accepted, quarantined } }) => accepted + quarantined);
  return received < truth.acknowledged
    ? `the ledger has ${counted(received, "reading")}, ${truth.acknowledged} were acknowledged`
    : undefined;
}

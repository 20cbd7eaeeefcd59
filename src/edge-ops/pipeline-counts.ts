/**
 * One row of the ledger: the cells of a pipeline, which its operator writes.
 *
 *   accepted = filtered + refused + late + open + closed        after each `apply`
 *
 * An operator counts each accepted row of a step exactly once. A detector, which has no windows,
 * counts the readings it has taken as closed.
 */

/** Cells of one pipeline's row in the ledger; what is in it is durable with the ledger. */
export type PipelineCounts = Float64Array;

/** Rows the pipeline was given. Counted by the dataflow, not by the operator. */
export const COUNT_ACCEPTED = 0;
/** Rows that `where` does not take, or whose value the operator cannot use. */
export const COUNT_FILTERED = 1;
/** Rows of a key beyond keysMax. */
export const COUNT_REFUSED = 2;
/** Rows too late for every window they belong to. */
export const COUNT_LATE = 3;
/** Rows in windows whose latest revision does not have them yet. A level, not a total. */
export const COUNT_OPEN = 4;
/** Rows in the counts of latest revisions. */
export const COUNT_CLOSED = 5;
/** Information: summaries of revision 0, of later revisions, and windows closed before their time. */
export const COUNT_WINDOWS = 6;
export const COUNT_CORRECTIONS = 7;
export const COUNT_FORCED = 8;
/** Information, of detectors: alerts that left, and alerts that were beyond limits.alertsPerSecondMax. */
export const COUNT_ALERTS = 9;
export const COUNT_SUPPRESSED = 10;
/** Information, of windows, in the same cell: summaries that lack their sketch, which had found no room. */
export const COUNT_SKETCHES_LOST = 10;
export const PIPELINE_CELLS = 11;

/**
 * What follows from a ceiling on memory: what of it anonymous memory may have, and the bounds of what can
 * be bounded.
 *
 *   ceiling   | files, kernel |        base         |      series, and eight parts      |
 *             |   28 MiB      |  Node, code, Kafka  |  2 readings that wait for their table
 *                                                   |  2 what clients have not read
 *                                                   |  1 held messages, 1 what local clients wait for
 *                                                   |  1 retained, 1 for sessions that are away
 *
 * Parts are bounds, not what is taken: mostly they are empty, and series live there. What no part is for
 * (series, names, topics, a merge of the outbox) the watch sees (memory-watch.ts). A ceiling that is high
 * enough changes no bound.
 */

import { limits } from "../../core/limits.ts";
import type { AccessLimits } from "../ingest/mqtt/access/access.ts";
import type { FrontLimits } from "../ingest/mqtt/front/front.ts";

export type MemoryCeiling = {
  readonly bytes: number;
  /** Who says so, for a person: a setting, or a file. */
  readonly from: string;
};

export type MemoryPlan = {
  readonly ceiling: MemoryCeiling;
  /** What anonymous memory may come to. */
  readonly roomBytes: number;
  /** Series beyond which new ones are refused; those that are known stay. */
  readonly seriesMax: number;
  /** Readings in memory before they are flushed. */
  readonly tableRowsMax: number;
  /** Encoded outputs that wait for their commit. */
  readonly pendingOutputBytesMax: number;
  /** Blocks of the outbox, before compression, that are merged or dropped at a time. */
  readonly outboxRunBytesMax: number;
  readonly front: Pick<
    FrontLimits,
    | "connectionsMax"
    | "heldBytesMax"
    | "outboundBytesMax"
    | "outboundBytesPerConnectionMax"
    | "brokerBacklogBytesMax"
    | "waitingBytesMax"
    | "retainedBytesMax"
  >;
  readonly access: Pick<AccessLimits, "passwordChecksMax">;
  readonly queriesMax: number;
  /** Of bodies that are posted and held at a time. */
  readonly postBodiesBytesMax: number;
};

/** Bytes of a row of a memory table. */
const ROW_BYTES = 25;

/** Pure: the same ceiling, the same bounds. */
export function memoryPlanOf(ceiling: MemoryCeiling): MemoryPlan {
  const roomBytes = Math.max(0, ceiling.bytes - limits.memoryFileBytes);
  const spareBytes = Math.max(0, roomBytes - limits.memoryBaseBytes);
  const part = spareBytes / limits.memoryParts;
  const atMost = (usual: number, parts = 1): number =>
    Math.floor(Math.min(usual, Math.max(part, limits.memoryPartBytesMin) * parts));
  const outboundBytesMax = atMost(limits.outboundBytesMax, 2);
  const connectionBytes = atMost(limits.connectionsMax * limits.memoryConnectionBytes, 4);
  const isSmall = ceiling.bytes <= limits.memoryOneHeapBytesMax;
  return {
    ceiling,
    roomBytes,
    seriesMax: Math.min(
      limits.seriesMax,
      Math.max(limits.memorySeriesMin, Math.floor(spareBytes / limits.memorySeriesBytes)),
    ),
    tableRowsMax: tableRowsOf(part),
    pendingOutputBytesMax: atMost(limits.pendingOutputBytesMax),
    outboxRunBytesMax: atMost(limits.outboxRollupBytesMax, 4),
    front: {
      connectionsMax: Math.floor(connectionBytes / limits.memoryConnectionBytes),
      heldBytesMax: atMost(limits.heldBytesMax),
      outboundBytesMax,
      outboundBytesPerConnectionMax: Math.min(
        limits.outboundBytesPerConnectionMax,
        outboundBytesMax,
      ),
      brokerBacklogBytesMax: atMost(limits.brokerBacklogBytesMax),
      waitingBytesMax: atMost(limits.waitingBytesMax),
      retainedBytesMax: atMost(limits.retainedBytesMax),
    },
    access: { passwordChecksMax: isSmall ? 1 : limits.passwordChecksMax },
    queriesMax: isSmall ? 1 : limits.queriesMax,
    postBodiesBytesMax: atMost(limits.postBodiesBytesMax),
  };
}

/** One table is filled while another is written: two parts. */
function tableRowsOf(part: number): number {
  const { memoryTableRowsStep: step, memoryTableRowsMax } = limits;
  const steps = Math.max(1, Math.floor(part / ROW_BYTES / step));
  return Math.min(memoryTableRowsMax, steps * step);
}

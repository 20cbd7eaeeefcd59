import { Fault } from "../../core/faults.ts";
import type { TopicPartition } from "./cluster.ts";

/**
 * What a reader says of a partition that gave nothing from `offset` on, though it reached to `end` when
 * that was asked for: a broker that is behind the others. UPLINK_UNREACHABLE, as another try may get it.
 */
export function noProgress(
  { topic, partition }: TopicPartition,
  { offset, end }: { readonly offset: number; readonly end: number },
): Fault {
  return new Fault(
    "UPLINK_UNREACHABLE",
    `${topic}/${partition} gives nothing from offset ${offset} on although it reaches to ${end}: another try may get it`,
    { facts: { topic, partition, offset, end } },
  );
}

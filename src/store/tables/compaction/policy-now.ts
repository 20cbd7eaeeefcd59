/** The policy as the disk allows it at the moment. */

import type { TableFiles } from "../listing/table-files.ts";
import type { TableStoreOptions } from "../table-store-options.ts";
import { type CompactionPolicy, sparing } from "./compaction-plan.ts";

/**
 * What is in quarantine counts, too. Where the disk has less free space than is left to others, that
 * goes, and then tables may take so much less. `bytesOf`: what all tables take.
 */
export async function policyNow(
  options: Pick<TableStoreOptions, "disk" | "directory" | "policy" | "isSparing">,
  files: TableFiles,
  bytesOf: () => number,
): Promise<CompactionPolicy> {
  const { disk, directory, isSparing = () => false } = options;
  const policy = isSparing() ? sparing(options.policy) : options.policy;
  await files.settle(); // what was replaced is gone, if no query reads it
  const { counters, quarantine } = files;
  const bytesMax = policy.bytesMax - quarantine.bytes;
  if (counters.unwanted > 0) return { ...policy, bytesMax };
  const lacking = policy.freeBytesMin - (await disk.freeBytes(directory));
  if (lacking <= 0) return { ...policy, bytesMax };
  const left = lacking - (await files.giveWay(lacking));
  const room = policy.bytesMax - quarantine.bytes; // by now
  return { ...policy, bytesMax: left <= 0 ? room : Math.min(room, bytesOf() - left) };
}

/** A state store written anew: what was deleted or overwritten in the old one is not in its pages. */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";

/** Puts every entry of `from` into `to`, a few in each transaction. Faults: those of `to.commit`. */
export async function copyEntries(from: Kv, to: Kv): Promise<void> {
  let key = FIRST;
  for (;;) {
    const entries = from.range({ from: key, to: BEYOND, limit: limits.kvCopyEntriesMax });
    const last = entries.at(-1);
    if (last === undefined) return;
    await to.commit(entries satisfies readonly KvWrite[]);
    key = `${last.key}${FIRST}`; // the next there can be
  }
}

/** Keys are of printable ASCII (assertKvKey). */
const FIRST = "\x21";
const BEYOND = "\x7f";

/** Records put into the outbox of a state store, without the readings that an agent has them from. */

import { position } from "../../src/core/units.ts";
import type { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import type { StateStore } from "../../src/store/state/state-store.ts";

/** One commit with these records and nothing else; rejects as StateStore.commit does. */
export async function commitRecords(store: StateStore, outbox: OutboxWriter): Promise<void> {
  await store.commit({
    through: position(1),
    ledger: new Uint8Array(),
    definitions: [],
    deadLetters: [],
    outbox,
  });
}

/**
 * The operator state of a savepoint without what hardware before this one has sent since (held-back.ts):
 * its windows are given up, and completeness markers count from behind them.
 */

import { Catalog, nameOfTags } from "../core/catalog.ts";
import type { Kv } from "../core/doors.ts";
import { percentEncoded } from "../store/outbox/record-text.ts";
import { readDefinitions } from "../store/state/catalog-store.ts";
import {
  checkpointWrites,
  readCheckpoint,
  type StateChunk,
} from "../store/state/checkpoint-store.ts";
import type { HeldBack } from "../store/state/held-back.ts";
import { ledgerKey, refusedRowsKey } from "../store/state/kv-key.ts";
import { restoreDataflow } from "./recovery.ts";

/** In one transaction; nothing where there is no checkpoint. Faults: those of `restoreDataflow`, of the store. */
export async function concedeState(kv: Kv, heldBack: HeldBack): Promise<void> {
  const found = readCheckpoint(kv);
  if (found === undefined || heldBack.size === 0) return;
  const { checkpoint, index } = found;
  const catalog = new Catalog();
  for (const definition of readDefinitions(kv)) catalog.define(definition);
  const dataflow = restoreDataflow(catalog, { checkpoint });
  dataflow.concede(({ pipeline, key }) =>
    heldBack.floorOf(`/${percentEncoded(pipeline)}/${percentEncoded(nameOfTags(key))}`),
  );
  const chunks: StateChunk[] = [];
  dataflow.encodeDirty((table, chunk, bytes) => chunks.push({ table, chunk, bytes }));
  const { writes } = checkpointWrites(index, checkpoint.at, {
    chunks,
    tables: dataflow.tables,
    spec: checkpoint.spec,
    refused: new Uint8Array(0),
  });
  // A savepoint has none: there is no log that they would be rows of.
  const kept = writes.filter(({ key }) => key !== refusedRowsKey);
  await kv.commit([...kept, { key: ledgerKey, value: dataflow.ledger.encode() }]);
}

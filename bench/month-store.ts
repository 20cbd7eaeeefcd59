/** The table store of the month, on the real doors: its files in `directory`, its list in LMDB. */

import { join } from "node:path";
import { systemClock } from "../src/agent/doors/clock.ts";
import { systemDisk } from "../src/agent/doors/disk.ts";
import { storeDefaults } from "../src/agent/config/config.ts";
import { limits } from "../src/core/limits.ts";
import { position } from "../src/core/units.ts";
import { openCheckedKv } from "../src/store/state/checked-kv.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { openStateStore } from "../src/store/state/state-store.ts";
import { RefusedRows } from "../src/store/tables/memory/refused-rows.ts";
import { openTableStore } from "../src/store/tables/open-table-store.ts";
import type { TableStore } from "../src/store/tables/table-store.ts";
import { seriesPerDevice } from "./sensors.ts";

export type OpenedStore = AsyncDisposable & { readonly tables: TableStore };

export async function openMonthStore(
  directory: string,
  {
    bytesMax,
    mergeTablesMin = limits.mergeTablesMin,
    mergeShare = 1,
  }: {
    readonly bytesMax: number;
    readonly mergeTablesMin?: number;
    readonly mergeShare?: number;
  },
): Promise<OpenedStore> {
  const path = join(directory, "state.mdb");
  const kv = await openCheckedKv(openKvLmdb({ path, bytesMax: limits.kvBytesMax }));
  const { store } = await openStateStore(kv);
  const tables = await openTableStore({
    disk: systemDisk,
    clock: systemClock(),
    kv,
    store,
    directory: join(directory, "tables"),
    deviceOf: (series) => Math.floor(series / seriesPerDevice),
    from: position(0),
    refused: new RefusedRows(),
    policy: {
      tiers: storeDefaults.tiers,
      keepMs: storeDefaults.keepMs,
      classes: new Map(),
      bytesMax,
      freeBytesMin: limits.freeBytesMin,
      mergeTablesMin,
    },
    mergeShare,
    clockNow: () => Number.POSITIVE_INFINITY,
  });
  return {
    tables,
    [Symbol.asyncDispose]: async () => {
      await tables.close();
      await kv.close();
    },
  };
}
